"""Re-deriving a row from its source and its kept replies, and comparing the bytes."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpus.commit.entries import CommitEntry
from flows.judging import make_samples
from flows.plan import Plan
from flows.reading import positioned
from flows.recipe import code_of
from flows.synthesis import bench_of
from flows.window import Teachers
from schemas.arrow import SAMPLE_SCHEMA
from schemas.errors import CorpusError
from schemas.record import Record
from schemas.sample import Sample
from schemas.task import Task
from sources.catalogue import open_source
from sources.tagging.cascade import tag
from teachers.opening import OpenTeacher, kept_teacher
from teachers.replay.blocks import Replies


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a row came out the same, and which columns did not."""

    same: bool
    columns: tuple[str, ...]
    num_replies: int
    same_code: bool


async def reproduce(plan: Plan, entry: CommitEntry, row: dict[str, Any]) -> Comparison:
    """Make the row again with no teacher at all; CorpusError when its record or a reply is gone."""
    task = Task(entry.flow, entry.source, entry.shard, entry.start, entry.stop, entry.recipe)
    bench = bench_of(task)
    position, record = _record(plan, task, row["record_id"])
    teachers = Teachers(_replayed(entry.recipe["teacher"]), _replayed(entry.recipe["judge"]))
    with Replies(plan.root, task.source, task.shard) as replies:
        asks = teachers.asks(record, replies.of(position))
        outcome = await make_samples(bench, record, tag(record), *asks)
    made = next((sample for sample in outcome.samples if sample.id == row["id"]), None)
    if made is None:
        reasons = ", ".join(reject.reason for reject in outcome.rejects) or "the generator made fewer rows"
        raise CorpusError(f"{row['id']} cannot be made again: {reasons}; has the code changed since?")
    differing = _differing(made, row)
    return Comparison(not differing, differing, outcome.tally.num_replayed, _same_code(plan, entry))


def _record(plan: Plan, task: Task, record_id: str) -> tuple[int, Record]:
    for position, item in positioned(open_source(task.source, plan.catalogue), task):
        if isinstance(item, Record) and item.id == record_id:
            return position, item
    raise CorpusError(f"record {record_id!r} is no longer in source {task.source!r} [{task.start}:{task.stop}]")


def _replayed(kept: Any) -> OpenTeacher | None:
    """The recipe's teacher as its kept replies: whatever pipeline.toml says today."""
    if kept is None:
        return None
    return kept_teacher(kept)


def _differing(made: Sample, row: dict[str, Any]) -> tuple[str, ...]:
    """Columns whose Arrow bytes differ."""
    new = pa.Table.from_pylist([made.row()], schema=SAMPLE_SCHEMA)
    old = pa.Table.from_pylist([row], schema=SAMPLE_SCHEMA)
    return tuple(name for name in SAMPLE_SCHEMA.names if not new.column(name).equals(old.column(name)))


def _same_code(plan: Plan, entry: CommitEntry) -> bool:
    """Whether today's code is the code that made the entry."""
    return code_of(entry.recipe["generator"], plan.catalogue[entry.source]) == entry.recipe["code"]
