"""What every test of asking needs: terms, requests, frames, and an `ask` over a real endpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.ask import Ask, Request, Sampling, Turn
from schemas.license import License
from schemas.pipeline import Teacher
from schemas.record import Frame, SourceTerms
from teachers.budget import Budget
from teachers.meter import Meter
from teachers.opening import open_teacher
from teachers.replay.log import ReplyLog

OPEN = SourceTerms(License("CC0-1.0", commercial=True, derivatives=True, attribution=False))
SCHEMA = {
    "type": "object",
    "properties": {
        "caption": {"type": "string", "minLength": 20, "maxLength": 200},
        "certain": {"type": "boolean"},
        "organ": {"enum": ["lung", "heart", "liver"]},
    },
    "required": ["caption", "certain", "organ"],
    "additionalProperties": False,
}


def request(text: str = "Facts: modality CT, body part chest.", **changes: Any) -> Request:
    """A request of one user turn; `frames` go into the turn, everything else into the request."""
    turn = Turn("user", text, tuple(changes.pop("frames", ())))
    sampling = changes.pop("sampling", Sampling(max_tokens=64, seed=7))
    return Request("generate", (Turn("system", "Describe."), turn), sampling=sampling, **changes)


def frame(num_bytes: int = 150_000, fill: int = 1) -> Frame:
    """A frame whose bytes are no picture: nothing between us and the server opens them."""
    return Frame(bytes([fill]) * num_bytes, "image/jpeg", 512, 512)


def teacher(url: str | tuple[str, ...], **changes: Any) -> Teacher:
    """A teacher on this machine."""
    settings = {"model": "test-model", "revision": "1", "locality": "loopback", "max_retries": 2, "canary": 0}
    return Teacher.model_validate({**settings, "base_url": url, **changes})


@asynccontextmanager
async def asking(
    config: Teacher,
    root: Path,
    *,
    terms: SourceTerms = OPEN,
    budget: Budget | None = None,
    replay_only: bool = False,
) -> AsyncIterator[tuple[Ask, Meter, ReplyLog]]:
    """An `ask` of teacher "t" for source "s", shard "0", keeping replies below `root`."""
    with ReplyLog(root, "s", "0") as replies:
        async with open_teacher("t", config, root=root, budget=budget, replay_only=replay_only) as opened:
            yield opened.ask_of(source="s", terms=terms, replies=replies), opened.meter, replies
