"""Asking with a prompt file: variables to a request, a reply to a checked answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generators.base import AskOptions
from generators.facts import fact_lines, media_lines, salient_lines
from generators.prompt import Prompt
from generators.reply import read
from generators.variety import number
from schemas.ask import Ask, Reply, Request, Turn
from schemas.errors import GenerationError
from schemas.record import Frame, Record

Variables = Mapping[str, object]


def common(record: Record) -> dict[str, object]:
    """The variables that every prompt may use; generators add their own."""
    facts = record.facts
    return {
        "facts": fact_lines(record),
        "salient": salient_lines(record),
        "media": media_lines(record),
        "kind": record.media[0].kind if record.media else "text",
        "num_frames": len(record.frames),
        "labels": facts.labels,
        "metadata": facts.metadata,
        "caption": facts.caption,
        "report": facts.report,
    }


async def ask_with(
    ask: Ask, prompt: Prompt, variables: Variables, record: Record, style: "Style", attempt: int = 0
) -> "Answer":
    """Render, ask and read one reply; whatever is wrong with the reply is in `Answer.problem`."""
    turns = prompt.render(**variables)
    schema = prompt.schema(**variables)
    frames = record.frames if prompt.header.frames else ()
    numbers = style.options.sampling(number(style.seed, record.id, style.role, style.key, attempt))
    request = Request(style.role, _with_frames(turns, frames), numbers, schema, attempt, prompt.sha256)
    reply = await ask(request)
    value, problem = read(reply, schema)
    return Answer(request, reply, value, problem)


def _with_frames(turns: tuple[Turn, ...], frames: tuple[Frame, ...]) -> tuple[Turn, ...]:
    """The frames go before the last user turn."""
    if not frames:
        return turns
    last = max(index for index, turn in enumerate(turns) if turn.role == "user")
    shown = Turn("user", turns[last].text, frames)
    return (*turns[:last], shown, *turns[last + 1 :])


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of question is put: its role, its sampling, and what sets its seed apart."""

    role: str
    options: AskOptions
    seed: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request, its reply, the reply's value and the slug of what is wrong with it, if anything."""

    request: Request
    reply: Reply
    value: Mapping[str, Any]
    problem: str

    @property
    def pair(self) -> tuple[Request, Reply]:
        """What a conversation records of it."""
        return self.request, self.reply

    def usable(self) -> Mapping[str, Any]:
        """The value; GenerationError when something is wrong with it."""
        if self.problem:
            raise GenerationError(self.problem, self.reply.content[:200])
        return self.value
