"""Requests gathered into batches: one leaves when it is full or when nothing came for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from schemas.pipeline import Batch
from teachers.batch.lines import MAX_BYTES, Spool


@dataclass(slots=True)
class _Next:
    """A batch that is not full yet; `changed` is loop time in seconds."""

    spool: Spool
    changed: float
    full: asyncio.Event = field(default_factory=asyncio.Event)


class Gatherer:
    """Puts lines into batches of `max_requests` and MAX_BYTES at most; `send` is given each that leaves."""

    def __init__(self, config: Batch, folder: Path, send: Callable[[Spool], Awaitable[None]]) -> None:
        self._config = config
        self._folder = folder
        self._send = send
        self._next: _Next | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def add(self, key: str, line: bytes) -> None:
        """Put one line into the next batch; CorpusError when the disk takes no more."""
        if self._next is not None and self._next.spool.size + len(line) > MAX_BYTES:
            self._fill(self._next)
        batch = self._next = self._next or self._new()
        batch.spool.add(key, line)
        batch.changed = asyncio.get_running_loop().time()
        if len(batch.spool) >= self._config.max_requests:
            self._fill(batch)

    async def close(self) -> None:
        """Send nothing more."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _new(self) -> _Next:
        batch = _Next(Spool(self._folder), asyncio.get_running_loop().time())
        task = asyncio.create_task(self._leave(batch))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return batch

    def _fill(self, batch: _Next) -> None:
        batch.full.set()
        self._next = None

    async def _leave(self, batch: _Next) -> None:
        try:
            await self._settled(batch)
            if self._next is batch:
                self._next = None
            await self._send(batch.spool)
        finally:
            batch.spool.file.close()

    async def _settled(self, batch: _Next) -> None:
        """Wait until a batch is full or quiet."""
        while not batch.full.is_set():
            quiet_at = batch.changed + self._config.gather_s
            if asyncio.get_running_loop().time() >= quiet_at:
                return
            try:
                async with asyncio.timeout_at(quiet_at):
                    await batch.full.wait()
            except TimeoutError:
                continue
