"""The sliding window: a task's records under way side by side, their outcomes in record order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from flows.judging import Bench, Outcome, make_samples
from schemas.ask import Ask, Reply, Request
from schemas.record import Record, Reject, SourceShard, Tags
from schemas.task import Tally, Task
from sources.base import Source
from sources.tagging.cascade import tag
from teachers.opening import OpenTeacher
from teachers.replay.blocks import Replies
from teachers.replay.log import ReplyLog

RECORDS_PER_SLOT: Final = 4
"""Records under way per request in flight: one slow head of the line must starve nobody."""


@dataclass(frozen=True, slots=True)
class Teachers:
    """The open teachers of a flow run; None where the generator or the configuration has none."""

    teacher: OpenTeacher | None
    judge: OpenTeacher | None

    @property
    def max_in_flight(self) -> int:
        """The teacher's ceiling; 1 where nobody is asked."""
        return self.teacher.config.max_in_flight if self.teacher else 1

    def vouch(self) -> None:
        """TeacherError when one of them has given no usable answer in this run."""
        for one in (self.teacher, self.judge):
            if one is not None:
                one.vouch()

    def asks(self, record: Record, replies: ReplyLog) -> tuple[Ask, Ask | None]:
        """`ask` of the teacher and of the judge for one record, under that record's terms."""
        terms, source = record.terms, record.source
        of = [one and one.ask_of(source=source, terms=terms, replies=replies) for one in (self.teacher, self.judge)]
        return of[0] or _nobody, of[1]


async def _nobody(request: Request) -> Reply:
    """The ask of a flow without a teacher."""
    raise AssertionError(f"nobody to ask, and {request.role!r} was asked")


async def outcomes(
    task: Task, bench: Bench, source: Source, teachers: Teachers, replies: Replies
) -> AsyncIterator[Outcome]:
    """What became of every record of the task, in record order.

    Memory does not grow with the task: at most `RECORDS_PER_SLOT` records per request in flight are
    held. Any error cancels what is under way and is raised with the record's name on it.
    """
    window: deque[asyncio.Task[Outcome]] = deque()
    try:
        async for position, item in _read(source, task):
            if isinstance(item, Reject):
                window.append(asyncio.create_task(_unreadable(item)))
            elif _wanted(tags := tag(item), task):
                window.append(asyncio.create_task(_one(task, bench, item, tags, teachers, replies.of(position))))
            while len(window) >= RECORDS_PER_SLOT * teachers.max_in_flight:
                yield await window.popleft()
        while window:
            yield await window.popleft()
    finally:
        for running in window:
            running.cancel()
        await asyncio.gather(*window, return_exceptions=True)


async def _read(source: Source, task: Task) -> AsyncIterator[tuple[int, Record | Reject]]:
    """The task's records with their positions, read in a thread: decoding must not hold up replies."""
    records = positioned(source, task)
    while (item := await asyncio.to_thread(_next, records)) is not None:
        yield item


def positioned(source: Source, task: Task) -> Iterator[tuple[int, Record | Reject]]:
    """The task's records, each with its position in the source's shard."""
    shard = SourceShard(task.shard, task.num_records)
    return enumerate(source.records(shard, task.start, task.stop), task.start)


def _next(records: Iterator[tuple[int, Record | Reject]]) -> tuple[int, Record | Reject] | None:
    return next(records, None)


def _wanted(tags: Tags, task: Task) -> bool:
    """Whether a tag filter lets the record in; without a filter everything is wanted."""
    select = task.recipe["select"]
    return not select or bool({str(tags.modality), str(tags.organ_system), str(tags.scope)} & set(select))


async def _one(task: Task, bench: Bench, record: Record, tags: Tags, teachers: Teachers, replies: ReplyLog) -> Outcome:
    ask, judge = teachers.asks(record, replies)
    try:
        outcome = await make_samples(bench, record, tags, ask, judge)
    except Exception as error:
        error.add_note(f"while making {task.title}, record {record.id}")
        raise
    return outcome


async def _unreadable(reject: Reject) -> Outcome:
    """A record that its source could not read: counted, kept, in no cell."""
    outcome = Outcome(tally=Tally("unresolved", "unresolved", num_in=1))
    outcome.refuse(reject)
    return outcome
