"""Small real corpora on disk, for tests of any package."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from corpus.changing.taking import take_snapshot
from corpus.commit.entries import CommitEntry
from corpus.commit.selection import done
from corpus.commit.shards import LIMITS, Limits
from corpus.commit.writer import TaskWriter
from corpus.manifest.snapshot import Snapshot
from schemas.record import Reject
from schemas.sample import Sample
from schemas.task import Task
from tests.support.samples import make_reject, make_samples, make_tallies, make_task


def commit(
    root: Path,
    task: Task,
    samples: Iterable[Sample],
    rejects: Sequence[Reject] = (),
    limits: Limits = LIMITS,
) -> CommitEntry:
    """Write and commit one task."""
    samples = list(samples)
    with TaskWriter(root, task, limits) as writer:
        for sample in samples:
            writer.add(sample)
        for reject in rejects:
            writer.reject(reject)
        return writer.commit(make_tallies(samples, rejects), {"seconds": 1.0})


def make_corpus(root: Path, num_rows: int = 60, grade: str = "production") -> Snapshot:
    """A corpus of two flows, every cell of `CELLS` and some rejects, with a snapshot."""
    tasks: list[Task] = []
    for flow in ("captioning", "synthetic-qa"):
        for start in range(0, num_rows // 2, 10):
            task = make_task(start, start + 10, flow=flow)
            commit(root, task, make_samples(start, start + 10, flow=flow, grade=grade), [make_reject(start)])
            tasks.append(task)
    return take_snapshot(root, tasks)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def missing(entries: Mapping[str, CommitEntry], planned: Sequence[Task]) -> list[Task]:
    """The planned tasks that no entry covers."""
    finished = done(entries, planned)
    return [task for task in planned if task.fingerprint not in finished]
