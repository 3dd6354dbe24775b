"""The pilot of a run: a seeded sample of its missing records, really asked, with what each of them took."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from flows.judging import make_samples
from flows.plan import FlowPlan, Plan
from flows.progress import Watcher
from flows.reading import positioned
from flows.synthesis import bench_of
from flows.window import Teachers
from schemas.ask import Ask, Reply, Request, together
from schemas.errors import TeacherError
from schemas.pipeline import Pipeline
from schemas.record import Record, Reject
from schemas.task import Tally, Task
from sources.base import Source
from sources.catalogue import open_source
from sources.tagging.cascade import tag
from teachers.budget import cost, price_of
from teachers.meter import Account
from teachers.replay.blocks import Replies

ALL = "all"
"""The teacher under whose name a record's teachers are summed."""

Place = tuple[Task, int]
"""A record: its task, and its position in the source's shard."""


@dataclass(slots=True)
class Trial:
    """One record of the pilot: what each teacher was asked for it, paid now or before, and samples kept."""

    asked: dict[str, Account] = field(default_factory=lambda: {ALL: Account()})
    keys: set[str] = field(default_factory=set[str])
    num_kept: int = 0

    def add(self, reply: Reply, usd: float) -> None:
        """Count a reply, once however often the record's generator asked for it."""
        if reply.key in self.keys:
            return
        self.keys.add(reply.key)
        for name in (reply.teacher, ALL):
            account = self.asked.setdefault(name, Account())
            account.num_requests += 1
            account.prompt_tokens += reply.prompt_tokens
            account.completion_tokens += reply.completion_tokens
            account.usd += usd


@dataclass(frozen=True, slots=True)
class Pilot:
    """Where a flow's records are tried, by whom, and who watches."""

    plan: Plan
    teachers: Teachers
    watcher: Watcher


def chosen(plan: Plan, flow: FlowPlan, source: str, num: int) -> list[Place]:
    """Up to `num` of the source's missing records, drawn from all of them with the pipeline's seed."""
    tasks = [task for task in flow.missing if task.source == source]
    places = range(sum(task.num_records for task in tasks))
    chance = random.Random(f"{plan.pipeline.seed}/{flow.flow}/{source}")
    drawn, before = sorted(chance.sample(places, min(num, len(places)))), 0
    found: list[Place] = []
    for task in tasks:
        found += [(task, task.start + at - before) for at in drawn if before <= at < before + task.num_records]
        before += task.num_records
    return found


async def trials_of(pilot: Pilot, source: str, places: Sequence[Place]) -> list[Trial]:
    """The records at `places`, side by side and as the run makes them, in order; nothing is committed.

    Raises as a run does: what is on the wire then lands and is kept.
    """
    opened, slots = open_source(source, pilot.plan.catalogue), asyncio.Semaphore(pilot.teachers.max_in_flight)
    shards = dict.fromkeys(task.shard for task, _ in places)
    with ExitStack() as stack:
        logs = {shard: stack.enter_context(Replies(pilot.plan.root, source, shard)) for shard in shards}

        async def one(task: Task, position: int) -> Trial:
            async with slots:
                read = await asyncio.to_thread(_read, opened, task, position)
                trial, tally = Trial(), Tally("", "")
                if isinstance(read, Record):
                    tally = await _try(pilot, task, read, logs[task.shard], position, trial)
                trial.num_kept = tally.num_kept
                pilot.watcher.record(task.flow, tally)
                return trial

        return await together([one(*place) for place in places])


async def _try(pilot: Pilot, task: Task, record: Record, logs: Replies, position: int, trial: Trial) -> Tally:
    """One record through generator and gates; what was asked for it goes to `trial`."""
    ask, judge = pilot.teachers.asks(record, logs.of(position), task.flow)
    pipeline = pilot.plan.pipeline
    counted, judging = _counted(ask, trial, pipeline), judge and _counted(judge, trial, pipeline)
    try:
        return (await make_samples(bench_of(task), record, tag(record), counted, judging)).tally
    except TeacherError as error:
        pilot.teachers.stop(error, str(error))
        raise


def _counted(ask: Ask, trial: Trial, pipeline: Pipeline) -> Ask:
    async def counted(request: Request) -> Reply:
        reply = await ask(request)
        trial.add(reply, cost(reply, price_of(pipeline.teacher(reply.teacher))))
        return reply

    return counted


def _read(source: Source, task: Task, position: int) -> Record | Reject | None:
    """The record at a position of the task's shard; None where the shard ends before it."""
    narrow = replace(task, start=position, stop=position + 1)
    return next((read for _, read in positioned(source, narrow)), None)
