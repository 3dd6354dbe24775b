"""Putting a teacher through a fault, and what came of each request."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.ask import Reply
from schemas.errors import GenerationError, PipelineError
from schemas.pipeline import Teacher
from tests.support.asking import asking, request, teacher

KEY = "sk-very-secret-0123456789"
PATIENCE_S = 0.4
TIMEOUT_S = 0.25
LONGEST_S = 12.0
"""When a test that hangs is ended, in seconds: several times longer than the slowest takes."""

STOPPED = "stopped"


@dataclass(frozen=True)
class Outcome:
    """What a request came to: "sample", the reason of a reject, or STOPPED; with the words for people."""

    what: str
    words: str = ""
    is_replayed: bool = False


def patient(url: str | tuple[str, ...], **changes: Any) -> Teacher:
    """A teacher whose waits are short enough for a test; its key is in TEACHER_KEY."""
    settings = {"timeout_s": TIMEOUT_S, "patience_s": PATIENCE_S, "api_key_env": "TEACHER_KEY", "canary": 0}
    return teacher(url, **{**settings, **changes})


async def ask_all(
    config: Teacher, root: Path, prompts: Iterable[str], *, first: str = "", longest_s: float = LONGEST_S
) -> list[Outcome]:
    """Ask every prompt at once, after `first` alone where it is given; replies are kept below `root`."""
    async with asyncio.timeout(longest_s), asking(config, root) as (ask, _, _):
        asks = (ask(request(prompt)) for prompt in prompts)
        early = [await ask(request(first))] if first else []
        return [*map(outcome, early), *map(outcome, await asyncio.gather(*asks, return_exceptions=True))]


def outcome(result: Reply | BaseException) -> Outcome:
    """What the flow would make of a result: its sample, its reject, or its end."""
    if isinstance(result, GenerationError):
        return Outcome(result.reason, result.detail)
    if isinstance(result, PipelineError):
        return Outcome(STOPPED, str(result))
    if isinstance(result, BaseException):
        raise result
    cut_off = "truncated" if result.finish_reason == "length" else ""
    return Outcome(result.problem or cut_off or "sample", is_replayed=result.replayed)
