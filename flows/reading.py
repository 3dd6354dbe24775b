"""A task's records, read and tagged ahead of their turn in a thread, a handful at a time."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Final

from flows.excluded import as_read
from schemas.record import Record, Reject, SourceShard, Tags
from schemas.task import Task
from sources.base import Source
from sources.tagging.cascade import tag

CHUNK_RECORDS: Final = 64
"""Records that one trip to the thread brings: a trip costs 0.1 ms, as much as reading one line of text."""

CHUNK_S: Final = 0.05
"""A trip ends when it has taken so long, in seconds: pictures that take long to decode come one by one."""

CHUNK_BYTES: Final = 16 << 20
"""A trip ends when it has so many bytes of frames."""


@dataclass(frozen=True, slots=True)
class Item:
    """What the source gave at one position; `tags` is None where it gave a Reject."""

    position: int
    read: Record | Reject
    tags: Tags | None

    @property
    def num_bytes(self) -> int:
        """The bytes of its frames."""
        if isinstance(self.read, Reject):
            return 0
        return sum(len(frame.data) for media in self.read.media for frame in media.frames)


async def read_ahead(source: Source, task: Task) -> AsyncGenerator[list[Item]]:
    """The task's items in order, a few at a time; the next few are read while these are worked on.

    Close it (`contextlib.aclosing`) when it is not read to its end: a thread cannot be cancelled, so
    closing waits for the one at work. SourceError as the source raises it.
    """
    items = _items(source, task)
    loop = asyncio.get_running_loop()
    ahead = loop.run_in_executor(None, _few, items)
    try:
        while few := await asyncio.shield(ahead):
            ahead = loop.run_in_executor(None, _few, items)
            yield few
    finally:
        await asyncio.wait([ahead])


def positioned(source: Source, task: Task) -> Iterator[tuple[int, Record | Reject]]:
    """The task's records, each with its position in the source's shard; those of benchmarks are rejects."""
    shard, without = SourceShard(task.shard, task.num_records), dict(task.recipe.get("without", ()))
    for position, read in enumerate(source.records(shard, task.start, task.stop), task.start):
        yield position, as_read(read, without.get(position))


def _items(source: Source, task: Task) -> Iterator[Item]:
    """Every item that the task's tag filter lets in; rejects are always counted."""
    select = set(task.recipe["select"])
    for position, read in positioned(source, task):
        tags = None if isinstance(read, Reject) else tag(read)
        if tags is None or not select or {str(tags.modality), str(tags.organ_system), str(tags.scope)} & select:
            yield Item(position, read, tags)


def _few(items: Iterator[Item]) -> list[Item]:
    """The next items: so many, or as many as there is time and space for; empty at the end."""
    few: list[Item] = []
    until, num_bytes = time.monotonic() + CHUNK_S, 0
    for item in items:
        few.append(item)
        num_bytes += item.num_bytes
        if len(few) >= CHUNK_RECORDS or num_bytes >= CHUNK_BYTES or time.monotonic() >= until:
            break
    return few
