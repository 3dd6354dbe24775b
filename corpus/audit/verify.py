"""Verifying a snapshot by reading everything again: names, checksums, schema, counts, tags, contents."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from corpus.audit.derived import coverage, derived_problems
from corpus.audit.jobs import JOB_BYTES, Job, files_of_entry, jobs_of, run, sampled
from corpus.audit.keys import key_problems
from corpus.audit.manifest import (
    missing_commits,
    pointer_problems,
    read_commits,
    read_snapshots,
    snapshot_problems,
    unnamed_files,
)
from corpus.audit.report import Coverage, Problem, Report, capped
from corpus.commit.entries import CommitEntry
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot, read_snapshot
from corpus.store.files import TOUCHED, Files
from schemas.errors import ConfigError, CorpusError


def verify(
    where: "Files | str | os.PathLike[str]",
    snapshot: str = "latest",
    *,
    sample: float = 1.0,
    seed: int = 0,
    workers: int = 1,
    job_bytes: int = JOB_BYTES,
) -> Report:
    """Re-read a snapshot of a corpus and report all that is wrong with it, in an order that no worker changes.

    `sample` is the share of record batches whose bytes and rows are read, chosen by `seed`; everything
    else is always read: entries, tables, derived columns, names, ids, groups. `workers` are processes,
    each with at most `job_bytes` of files at a time. Raises CorpusError only where there is no such
    snapshot to verify, ConfigError for a share that is none.
    """
    if not 0 < sample <= 1:
        raise ConfigError(f"a sample is a share above 0 and at most 1, not {sample}")
    TOUCHED.clear()  # what this process found right once may have changed since
    opened = read_snapshot(where, snapshot)
    problems: list[Problem] = []
    commits = read_commits(opened.files, problems)
    snapshots = read_snapshots(opened.files, problems)
    problems += pointer_problems(opened.files)
    problems += missing_commits(opened, commits)
    entries = [commits[commit] for commit in opened.commits if commit in commits]
    places = Places(opened)
    if len(entries) == len(opened.commits):
        problems += snapshot_problems(opened, entries)
        problems += capped(_shared_problems(places))
    jobs = list(_jobs(opened, commits, sampled(entries, sample, seed), job_bytes))
    for found in run(opened.files, jobs, workers):
        problems += found
    return Report(
        snapshot=opened.name,
        **_looked_at(jobs),
        problems=tuple(problems),
        derived=tuple(_coverages(places)),
        unnamed=unnamed_files(opened.files, list(commits.values()), list(snapshots.values())),
    )


def _jobs(
    snapshot: Snapshot,
    commits: Mapping[tuple[str, str], CommitEntry],
    looked: Mapping[str, frozenset[int]] | None,
    job_bytes: int,
) -> Iterator[Job]:
    """The jobs of the pieces whose entries are all there: with one missing, its tables have no known rows."""
    for piece in snapshot.pieces:
        own = [commits[commit] for commit in piece.commits if commit in commits]
        if len(own) == len(piece.commits):
            yield from jobs_of(piece, own, looked, job_bytes)


def _looked_at(jobs: Sequence[Job]) -> Mapping[str, int]:
    """How much there is and how much of it was read, by the names of `Report`."""
    found: Counter[str] = Counter(num_files=0, num_batches=0, num_batches_read=0, num_rows=0, bytes=0, bytes_read=0)
    for job in jobs:
        for file in (file for entry in job.entries for file in files_of_entry(entry)):
            numbers = job.looked_of(file)
            read = [batch for n, batch in enumerate(file.batches) if numbers is None or n in numbers]
            found["num_files"] += 1
            found["bytes"] += file.bytes
            found["num_batches"] += len(file.batches)
            found["num_batches_read"] += len(read)
            found["num_rows"] += sum(batch.rows for batch in read) if file.split else 0
            found["bytes_read"] += file.bytes if numbers is None else sum(batch.length for batch in read)
    return found


def _shared_problems(places: Places) -> Iterator[Problem]:
    """What rows must be beside each other, and derived columns; broken tables are problems elsewhere."""
    try:
        _ = places.file_columns, places.batch_columns
        broken = [problem for derived in places.snapshot.derived for problem in derived_problems(places, derived)]
        yield from broken
        if not broken:  # which rows are dropped is not known otherwise
            yield from key_problems(places)
    except CorpusError:
        return


def _coverages(places: Places) -> Iterator[Coverage]:
    try:
        yield from [coverage(places, derived) for derived in places.snapshot.derived]
    except CorpusError:
        return
