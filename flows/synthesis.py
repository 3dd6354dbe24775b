"""One task, from records to a committed entry."""

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from corpus.commit.entries import CommitEntry
from corpus.commit.shards import warm_up
from corpus.commit.writer import TaskWriter
from corpus.store.writing import Store
from flows.judging import Bench
from flows.progress import Watcher
from flows.spool import Spool
from flows.stamping import stamp_of
from flows.window import Teachers, outcomes
from generators import build
from generators.gates import Bounds, batch_gates_of, gates_of, judged_gates_of
from schemas.conversation import BatchGate
from schemas.record import Reject
from schemas.sample import Sample
from schemas.task import Tally, Task
from sources.catalogue import open_source
from sources.entry import Entry
from teachers.replay.blocks import Replies

if TYPE_CHECKING:
    from teachers.replay.mirror import Mirror

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Shop:
    """What every task of a flow run shares: where its work goes, what is read, who teaches, who watches.

    Replies are kept below `root`, samples are committed to `store`; `mirror` is where kept replies are copied
    to, if anywhere.
    """

    root: Path
    store: Store
    catalogue: Mapping[str, Entry]
    teachers: Teachers
    watcher: Watcher
    mirror: "Mirror | None" = None


@dataclass(slots=True)
class Tallies:
    """Tallies by cell, in the order in which cells are first met."""

    cells: dict[tuple[str, str], Tally] = field(default_factory=dict[tuple[str, str], Tally])

    def add(self, one: Tally) -> None:
        """Add a record's tally to its cell's."""
        cell = self.cells.setdefault((one.organ, one.modality), Tally(one.organ, one.modality))
        cell.num_in += one.num_in
        cell.num_generated += one.num_generated
        cell.num_kept += one.num_kept
        cell.num_requests += one.num_requests
        cell.num_replayed += one.num_replayed
        cell.prompt_tokens += one.prompt_tokens
        cell.completion_tokens += one.completion_tokens
        cell.usd += one.usd
        for reason, count in one.rejected.items():
            cell.rejected[reason] = cell.rejected.get(reason, 0) + count


def bench_of(task: Task) -> Bench:
    """Generator, gates and stamp from the task's recipe alone, so that a kept recipe re-makes its rows."""
    recipe = task.recipe
    bounds = Bounds.model_validate(recipe["gates"])
    kind = recipe["generator"]
    return Bench(
        generator=build(kind, recipe["options"], recipe["seed"], task.title),
        gates=gates_of(kind, bounds),
        judged_gates=judged_gates_of(kind, bounds) if recipe["judge"] else (),
        stamp=stamp_of(task),
    )


async def synthesize(task: Task, shop: Shop) -> CommitEntry:
    """Make and commit one task; returns its commit entry (another worker's, if that one was first).

    Raises SourceError, TeacherError or CorpusError, and then leaves no trace but kept replies.
    """
    began, bench, tallies = time.time(), bench_of(task), Tallies()
    batch_gates = batch_gates_of(task.recipe["generator"], Bounds.model_validate(task.recipe["gates"]))
    source = open_source(task.source, shop.catalogue)
    async with AsyncExitStack() as stack:
        replies = stack.enter_context(Replies(shop.root, task.source, task.shard, shop.mirror))
        await asyncio.to_thread(replies.prepare, task.start, task.stop)
        writer = stack.enter_context(TaskWriter(shop.store, task))
        spool = stack.enter_context(Spool())
        warming = asyncio.get_running_loop().run_in_executor(None, warm_up)
        settled = await stack.enter_async_context(aclosing(outcomes(task, bench, source, shop.teachers, replies)))
        async for outcome in settled:
            for reject in outcome.rejects:
                writer.reject(reject)
            for sample in outcome.samples:
                (spool if batch_gates else writer).add(sample)
            tallies.add(outcome.tally)
            shop.watcher.record(task.flow, outcome.tally)
        shop.teachers.vouch()
        await warming
        settle(spool, batch_gates, writer, tallies)
        entry = await to_its_end(writer.commit, list(tallies.cells.values()), _made(began, shop.teachers))
        await to_its_end(replies.compact)
        return entry


async def to_its_end(work: Callable[..., Done], *given: object) -> Done:
    """Work in a thread, which cannot be cancelled: whoever is cancelled meanwhile waits for its end."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *given))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait([running])


def settle(spool: Spool, gates: Iterable[BatchGate], writer: TaskWriter, tallies: Tallies) -> None:
    """Write the spooled samples that every batch gate lets pass; the others become rejects."""
    refused: dict[int, tuple[str, str]] = {}
    for gate in gates:
        left = [index for index in range(len(spool.light)) if index not in refused]
        for index, verdict in zip(left, gate([spool.light[index] for index in left]), strict=True):
            if not verdict.passed:
                refused[index] = (verdict.reason, verdict.detail)
    for index, sample in enumerate(spool.samples()):
        if index not in refused:
            writer.add(sample)
        else:
            reason, detail = refused[index]
            writer.reject(_as_reject(sample, reason, detail))
            organ, modality = str(sample.organ_system or sample.scope), sample.modality or "text"
            tallies.add(Tally(organ, modality, num_kept=-1, rejected={reason: 1}))


def _as_reject(sample: Sample, reason: str, detail: str) -> Reject:
    """A sample that a batch gate refused, as the reject that is kept."""
    lines = [
        f"{message['role']}: {part['text']}"
        for message in sample.messages
        for part in message["content"]
        if part["text"]
    ]
    keys = tuple(ask["reply_key"] for ask in sample.asks)
    return Reject(sample.record_id, "gate", reason, detail, "\n".join(lines), keys)


def _made(began: float, teachers: Teachers) -> Mapping[str, Any]:
    """What may differ between two runs of the same task; it never enters a row."""
    return {
        "teachers": teachers.standing(),
        "began": began,
        "ended": time.time(),
        "host": platform.node(),
        "python": platform.python_version(),
    }
