"""Asking a teacher: the request, the reply and the one awaitable between them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from schemas.record import Frame


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a request; `frames` go before the text on the wire."""

    role: Literal["system", "user", "assistant"]
    text: str
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a teacher samples. `max_tokens` bounds the completion; `seed` is sent when not None."""

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a teacher.

    `role` is the ask's part in the generator ("generate", "verify", "judge", ...). `schema` is a JSON
    Schema that the reply must obey. `attempt` is the semantic resample index (0 for the first): it is
    part of the request's identity, transport retries are not. `prompt_sha256` names the prompt file,
    `language` (ISO 639-1) is what the reply is to be written in.
    """

    role: str
    turns: tuple[Turn, ...]
    sampling: Sampling = field(default_factory=Sampling)
    schema: Mapping[str, Any] | None = None
    attempt: int = 0
    prompt_sha256: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a teacher answered. `key` is the content hash of the request that it answers.

    `reasoning` is what the model thought before `content`, where its server tells them apart.
    `problem` is the slug of what makes the reply unusable whatever it says ("" when nothing does), such
    as `"unclosed-thinking"`: it was paid for, so it is kept. `usd` is what it cost now; a kept reply
    costs nothing.
    """

    content: str
    finish_reason: str = "stop"
    reasoning: str = ""
    problem: str = ""
    teacher: str = ""
    model: str = ""
    revision: str = ""
    key: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    replayed: bool = False


Ask = Callable[[Request], Awaitable[Reply]]
"""Retries, limits, policy, replay and cost are behind it.

Raises GenerationError when the server refuses this one request for good, TeacherError when it will
answer none.
"""

Result = TypeVar("Result")


async def together(waiting: Iterable[Awaitable[Result]]) -> list[Result]:
    """What several asks, or chains of asks, come to, side by side; results in the order given.

    All of them end before the first error (in that order) is raised: what is on its way is paid for.
    """
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    results: list[Result] = []
    for one in ended:
        if isinstance(one, BaseException):
            raise one
        results.append(one)
    return results
