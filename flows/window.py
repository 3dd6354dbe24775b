"""The sliding window: a task's records under way side by side, their outcomes in record order."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from flows.judging import Bench, Outcome, make_samples
from flows.reading import Item, read_ahead
from schemas.ask import Ask, Reply, Request
from schemas.record import Record, Reject, Tags
from schemas.task import Tally, Task
from sources.base import Source
from teachers.replay.blocks import Replies
from teachers.replay.log import ReplyLog
from teachers.teacher import OpenTeacher

RECORDS_PER_SLOT: Final = 2
"""Records at work per request in flight, so that a place on the wire never waits for one to be made ready."""

MAX_BYTES: Final = 256 << 20
"""Bytes of frames that a task holds, at work and waiting for their turn; one record may pass it alone."""

GRACE_S: Final = 30.0
"""After an error, how long the requests on the wire may take to land, in seconds: they are paid for."""

INTERRUPTED_GRACE_S: Final = 5.0
"""The same after Ctrl-C, or when another task failed and has waited already."""


@dataclass(frozen=True, slots=True)
class Teachers:
    """The open teachers of a flow run; None where the generator or the configuration has none."""

    teacher: OpenTeacher | None
    judge: OpenTeacher | None
    stopped: list[BaseException] = field(default_factory=list[BaseException])
    """What made the run stop: the first error, then those that it led to."""
    turns: Iterator[int] = field(default_factory=lambda: itertools.count())
    """The tasks' numbers, in the order in which they begin: the first has the first claim on the wire."""

    @property
    def max_in_flight(self) -> int:
        """The teacher's ceiling; 1 where nobody is asked."""
        return self.teacher.capacity if self.teacher else 1

    def vouch(self) -> None:
        """TeacherError when one of them has given no usable answer in this run."""
        for one in (self.teacher, self.judge):
            if one is not None:
                one.vouch()

    def standing(self) -> dict[str, dict[str, Any]]:
        """Where each of them runs and what its operator promised, by name, as plain data."""
        found: dict[str, dict[str, Any]] = {}
        for one in (self.teacher, self.judge):
            found.update(one.standing() if one is not None else {})
        return found

    def note(self, sentence: str) -> None:
        """Keep a sentence that somebody should read."""
        for one in (self.teacher, self.judge):
            if one is not None:
                one.meter.note(sentence)
                return

    def stop(self, error: BaseException, reason: str) -> None:
        """Let what is on the wire land, and send nothing more: every ask from now on is a TeacherError."""
        self.stopped.append(error)
        for one in (self.teacher, self.judge):
            if one is not None:
                one.stop(reason)

    def asks(self, record: Record, replies: ReplyLog, flow: str = "", order: int = 0) -> tuple[Ask, Ask | None]:
        """`ask` of the teacher and of the judge for one record, under that record's terms, in its task's turn."""
        terms, source = record.terms, record.source
        asks = [
            one and one.ask_of(source=source, terms=terms, replies=replies, flow=flow, order=order)
            for one in (self.teacher, self.judge)
        ]
        return asks[0] or _nobody, asks[1]


async def _nobody(request: Request) -> Reply:
    """The ask of a flow without a teacher."""
    raise AssertionError(f"nobody to ask, and {request.role!r} was asked")


async def outcomes(
    task: Task, bench: Bench, source: Source, teachers: Teachers, replies: Replies
) -> AsyncGenerator[Outcome]:
    """What became of every record of the task, in record order.

    A slow record starves nobody: others go on behind it, and their outcomes wait. At most
    `RECORDS_PER_SLOT` records per request in flight are at work, and at most `MAX_BYTES` of frames are
    held. The first error stops the teachers, lets what is on the wire land, and is raised with its
    record's name on it. Close it (`contextlib.aclosing`) when it is not read to its end.
    """
    window = _Window(task, bench, teachers, replies)
    try:
        async with aclosing(read_ahead(source, task)) as chunks:
            async for items in chunks:
                for item in items:
                    while not window.has_room:
                        await window.change()
                        for outcome in window.ended():
                            yield outcome
                    window.start(item)
                for outcome in window.ended():
                    yield outcome
        while window.line:
            await window.change()
            for outcome in window.ended():
                yield outcome
    except Exception as error:
        await window.drain(error, GRACE_S)
        raise teachers.stopped[0] from None
    except BaseException as error:
        await window.drain(error, INTERRUPTED_GRACE_S)
        raise


class _Window:
    """The records of one task that are at work, or done and waiting for those before them."""

    def __init__(self, task: Task, bench: Bench, teachers: Teachers, replies: Replies) -> None:
        self._task = task
        self._bench = bench
        self._teachers = teachers
        self._replies = replies
        self._order = next(teachers.turns)
        self._most = RECORDS_PER_SLOT * teachers.max_in_flight
        self._changed = asyncio.Event()
        self._failed: BaseException | None = None
        self._num_running = 0
        self._num_bytes = 0
        self.line: deque[tuple[asyncio.Task[Outcome], int]] = deque()

    @property
    def has_room(self) -> bool:
        """Whether another record may start."""
        return not self.line or (self._num_running < self._most and self._num_bytes < MAX_BYTES)

    def start(self, item: Item) -> None:
        """Set a record to work at the end of the line."""
        running = asyncio.create_task(self._outcome(item))
        running.add_done_callback(self._note)
        num_bytes = item.num_bytes
        self.line.append((running, num_bytes))
        self._num_running += 1
        self._num_bytes += num_bytes

    async def change(self) -> None:
        """Wait until a record ends; raises the error of one that failed, wherever it stands in the line."""
        await self._changed.wait()
        self._changed.clear()
        if self._failed is not None:
            raise self._failed

    def ended(self) -> Iterator[Outcome]:
        """Take the outcomes that nothing stands before any more."""
        while self.line and self.line[0][0].done():
            ended, num_bytes = self.line.popleft()
            self._num_bytes -= num_bytes
            yield ended.result()

    async def drain(self, error: BaseException, grace_s: float) -> None:
        """Send nothing more, let what is on the wire land for so many seconds, then cancel the rest."""
        self._teachers.stop(error, f"the run is stopping: {error}" if str(error) else "the run is stopping")
        left = [running for running, _ in self.line]
        try:
            if left:
                await asyncio.wait(left, timeout=grace_s)
        finally:
            for running in left:
                running.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _note(self, ended: asyncio.Task[Outcome]) -> None:
        self._num_running -= 1
        self._changed.set()
        if self._failed is None and not ended.cancelled():
            self._failed = ended.exception()

    async def _outcome(self, item: Item) -> Outcome:
        if isinstance(item.read, Reject) or item.tags is None:
            return _unreadable(item.read)
        return await self._made(item.read, item.tags, self._replies.of(item.position))

    async def _made(self, record: Record, tags: Tags, replies: ReplyLog) -> Outcome:
        ask, judge = self._teachers.asks(record, replies, self._task.flow, self._order)
        try:
            return await make_samples(self._bench, record, tags, ask, judge)
        except Exception as error:
            error.add_note(f"while making {self._task.title}, record {record.id}")
            raise


def _unreadable(reject: Record | Reject) -> Outcome:
    """A record that its source could not read: counted, kept, in no cell."""
    assert isinstance(reject, Reject)
    outcome = Outcome(tally=Tally("unresolved", "unresolved", num_in=1))
    outcome.refuse(reject)
    return outcome
