"""Asking a teacher: the request, the reply and the one awaitable between them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
    part of the request's identity, transport retries are not. `prompt_sha256` names the prompt file.
    """

    role: str
    turns: tuple[Turn, ...]
    sampling: Sampling = field(default_factory=Sampling)
    schema: Mapping[str, Any] | None = None
    attempt: int = 0
    prompt_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a teacher answered. `key` is the content hash of the request that it answers."""

    text: str
    finish_reason: str = "stop"
    teacher: str = ""
    model: str = ""
    revision: str = ""
    key: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    replayed: bool = False


Ask = Callable[[Request], Awaitable[Reply]]
"""Retries, limits, policy, replay and cost are behind it.

Raises GenerationError when the server refuses this one request for good, TeacherError when it will
answer none.
"""
