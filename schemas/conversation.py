"""What a generator makes and what a gate says of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.ask import Ask, Reply, Request
from schemas.record import Record
from schemas.sample import Sample


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `num_images` placeholders for the record's frames precede the text.

    Frames are taken in order over the whole conversation: the first message with `num_images = 2`
    shows frames 0 and 1, the next continues from 2.
    """

    role: Literal["system", "user", "assistant"]
    text: str
    num_images: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a generator makes of one record; the flow adds where it came from.

    `asks` are the (request, reply) pairs that it is made from, in order; empty for `verbatim`.
    `task` says what it trains ("caption", "report", "vqa", "reasoning", "video-description", ...).
    `answer_type` is one of "open", "yes_no", "multiple_choice", "free_text". `pass_rate` is the share
    of resamples that reached the gold answer.
    """

    messages: tuple[Message, ...]
    task: str
    asks: tuple[tuple[Request, Reply], ...] = ()
    language: str = "en"
    gold: str | None = None
    answer_type: str = "free_text"
    pass_rate: float | None = None
    judge_score: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's word. `reason` is a slug when it failed; `detail` says what was seen, for a person."""

    gate: str
    passed: bool
    reason: str = ""
    detail: str = ""
    score: float | None = None


Gate = Callable[[Record, Conversation], Verdict]
"""A pure check of one conversation."""

JudgedGate = Callable[[Record, Conversation, Ask], Awaitable[Verdict]]
"""A check that asks another model."""

BatchGate = Callable[[Sequence[Sample]], Sequence[Verdict]]
"""A check over a task's samples, in order (balance, caps)."""
