"""Asking numbered questions through batches, here or in a process that may be killed."""

import asyncio
import json
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import openai
import orjson

from schemas.ask import Request, Sampling, Turn
from schemas.errors import TransientError
from schemas.pipeline import Teacher
from teachers.answer import Answer
from teachers.batch.batches import Batches, BatchParts
from teachers.budget import Budget
from teachers.replay.keys import request_key
from teachers.wire.client import Client
from teachers.wire.completion import body_of

assert openai  # imported here so that no asker takes a second for it
IDENTITY = {"name": "t", "model": "test-model", "revision": "1"}


def question(index: int | str) -> Request:
    """A request of one user turn."""
    return Request("generate", (Turn("user", f"Facts: question {index} of the chest."),), Sampling(max_tokens=64))


def key_of(request: Request) -> str:
    """The name of a request."""
    return request_key(IDENTITY, request)


def teacher(url: str, *, batch: dict[str, Any] | None = None, **changes: Any) -> Teacher:
    """A teacher on this machine whose batches are quick."""
    settings = {"model": "test-model", "revision": "1", "locality": "loopback", "base_url": url, "patience_s": 5}
    quick = {"gather_s": 0.05, "poll_s": 0.05, **(batch or {})}
    return Teacher.model_validate({**settings, "price": {"input": 2, "output": 4}, "batch": quick, **changes})


@asynccontextmanager
async def batching(
    config: Teacher,
    folder: Path,
    *,
    key: str | None = None,
    budget: Budget | None = None,
    notes: list[str] | None = None,
) -> AsyncIterator[Batches]:
    """Batches over a real endpoint; what they leave unanswered is asked online, three times at most."""
    client = Client("t", config, config.base_url[0], key)

    async def body(request: Request) -> bytes:
        return orjson.dumps(body_of(request, config, {}))

    async def online(request: Request, key: str) -> Answer:
        for number in range(3):
            try:
                return (await client.complete(await body(request)))[0]
            except TransientError:
                if number == 2:
                    raise
        raise AssertionError

    parts = BatchParts(online, body, budget or Budget(), (notes if notes is not None else []).append)
    batches = Batches("t", config, config.base_url[0], key, folder, parts)
    try:
        yield batches
    finally:
        await batches.close()
        await client.close()


def _kept(replies: Path | None) -> dict[str, str]:
    return dict(map(json.loads, replies.read_text().splitlines())) if replies and replies.exists() else {}


async def _ask_all(url: str, folder: Path, indices: range, replies: Path | None, told: Connection) -> None:
    kept = _kept(replies)
    texts: dict[int, str] = {}
    async with batching(teacher(url), folder) as batches:

        async def ask(index: int) -> None:
            request = question(index)
            key = key_of(request)
            if key in kept:
                texts[index] = kept[key]
                return
            (reply, _), _ = await batches.ask(request, key)
            texts[index] = reply.content
            if replies is not None:
                with replies.open("a") as file:
                    file.write(json.dumps([key, reply.content]) + "\n")
                batches.kept(key)

        told.send("asking")
        await asyncio.gather(*map(ask, indices))
    told.send(texts)


def _run(url: str, folder: Path, indices: range, replies: Path | None, told: Connection) -> None:
    asyncio.run(_ask_all(url, folder, indices, replies, told))


class Asker:
    """A process that asks. With `replies`, a file, it keeps each reply there and asks nothing that is kept.

    It is forked from a process that has imported everything: starting it takes no time.
    """

    def __init__(self, url: str, folder: Path, indices: range, replies: Path | None = None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._hears, told = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(url, folder, indices, replies, told))
        self._process.start()
        told.close()

    async def hear(self) -> Any:
        """What it says next: that it is asking, then the replies by question. EOFError once it is dead."""
        return await asyncio.to_thread(self._hears.recv)

    async def end(self) -> dict[int, str]:
        """The replies of one that was not heard yet."""
        assert await self.hear() == "asking"
        texts = await self.hear()
        await asyncio.to_thread(self._process.join)
        return texts

    async def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        await asyncio.to_thread(self._process.join)
