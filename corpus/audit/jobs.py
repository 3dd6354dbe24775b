"""An audit cut into jobs: some commit entries each, with their files and their part of the snapshot's tables."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import math
import multiprocessing
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from corpus.audit.files import Looked, Tables, data_problems, entry_problems, reject_problems
from corpus.audit.report import Problem, collect
from corpus.commit.entries import CommitEntry, FileEntry
from corpus.compute import pc
from corpus.layout import commit_path
from corpus.manifest.snapshot import Piece, TableFile
from corpus.manifest.tables import FILES_SCHEMA, read_table
from corpus.store.files import Files
from schemas.errors import ConfigError, CorpusError

JOB_BYTES: Final = 1 << 30
"""Committed bytes after which a job ends: long beside a process's start, short beside a whole audit."""


@dataclass(frozen=True)
class Job:
    """Commit entries that follow each other in one piece.

    `tables` are the piece's; its file `first_file` and its row `first_row` are the job's first. `looked`
    has the numbers of the batches to read by file; None: all bytes of all files.
    """

    entries: tuple[CommitEntry, ...]
    tables: Mapping[str, TableFile]
    first_file: int
    first_row: int
    looked: Mapping[str, frozenset[int]] | None

    def looked_of(self, file: FileEntry) -> Looked:
        """The batches of a file that are read."""
        return None if self.looked is None else self.looked.get(file.path, frozenset())


def files_of_entry(entry: CommitEntry) -> list[FileEntry]:
    """All files of an entry, rejects last."""
    return [*entry.files, *([entry.rejects] if entry.rejects else [])]


def sampled(entries: Sequence[CommitEntry], share: float, seed: int) -> dict[str, frozenset[int]] | None:
    """A seeded share of all batches, at least one, by file; None where the share is 1: all of everything."""
    if share >= 1:
        return None
    places = [(file.path, n) for entry in entries for file in files_of_entry(entry) for n in range(len(file.batches))]
    chosen = random.Random(seed).sample(places, min(len(places), math.ceil(share * len(places))))
    by_file: dict[str, set[int]] = {}
    for path, number in chosen:
        by_file.setdefault(path, set()).add(number)
    return {path: frozenset(numbers) for path, numbers in by_file.items()}


def jobs_of(
    piece: Piece, entries: Sequence[CommitEntry], looked: Mapping[str, frozenset[int]] | None, job_bytes: int
) -> Iterator[Job]:
    """The jobs of a piece whose commit entries these are; each is closed at `job_bytes` of committed files."""
    own: list[CommitEntry] = []
    num_bytes = first_file = first_row = 0
    for number, entry in enumerate(entries):
        own.append(entry)
        num_bytes += sum(file.bytes for file in files_of_entry(entry))
        if num_bytes >= job_bytes or number == len(entries) - 1:
            paths = {file.path for one in own for file in files_of_entry(one)}
            part = None if looked is None else {path: looked[path] for path in paths & looked.keys()}
            yield Job(tuple(own), piece.tables, first_file, first_row, part)
            first_file += sum(len(one.files) for one in own)
            first_row += sum(one.num_rows for one in own)
            own, num_bytes = [], 0


def run(files: Files, jobs: Sequence[Job], workers: int) -> Iterator[list[Problem]]:
    """The problems of each job, in the order of the jobs, by that many processes.

    Raises ConfigError where one of them is killed.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from map(partial(check, files), jobs)
        return
    # spawned: a fork of a process with Arrow's threads may hang
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=spawn) as pool:
            yield from pool.map(partial(check, files), jobs)
    except BrokenProcessPool as error:
        raise ConfigError(
            f"a process of the audit was killed, most likely for memory: use fewer workers than {workers}"
        ) from error


def check(files: Files, job: Job) -> list[Problem]:
    """All that is wrong with a job's entries, their files and what the tables say of them."""
    tables = _read(files, job, ("samples", "keys"))
    problems = list(_listed(files, job))
    first = job.first_row
    for entry in job.entries:
        problems += collect(commit_path(entry.flow, entry.task), entry_problems(entry))
        for file in entry.files:
            own = None if tables is None else {name: table.slice(first, file.rows) for name, table in tables.items()}
            problems += collect(file.path, data_problems(files, entry, file, job.looked_of(file), own))
            first += file.rows
        if entry.rejects:
            looked = job.looked_of(entry.rejects)
            problems += collect(entry.rejects.path, reject_problems(files, entry, entry.rejects, looked))
    return problems


def _read(files: Files, job: Job, kinds: Sequence[str]) -> Tables | None:
    """Tables of the job's piece; None where one is broken, which `corpus.audit.manifest` says."""
    try:
        return {kind: read_table(files, job.tables[kind]) for kind in kinds}
    except CorpusError:
        return None


def _listed(files: Files, job: Job) -> Iterator[Problem]:
    """Rows of the tables of files and batches that say other than the commit entries."""
    tables = _read(files, job, ("files", "batches"))
    if tables is None:
        return
    shards = [(entry, file) for entry in job.entries for file in entry.files]
    said = tables["files"].slice(job.first_file, len(shards)).to_pylist()
    if said != [_file_row(entry, file) for entry, file in shards]:
        yield Problem(job.tables["files"].path, "it says other than the commit entries")
    first, last = job.first_file, job.first_file + len(shards)
    batches = tables["batches"]
    inside = pc.and_(pc.greater_equal(batches.column("file"), first), pc.less(batches.column("file"), last))
    mine = batches.filter(inside).to_pylist()
    rows = [
        {"file": first + number, **{name: getattr(batch, name) for name in BATCH_NAMES}, "cells": dict(batch.cells)}
        for number, (_, file) in enumerate(shards)
        for batch in file.batches
    ]
    if [{**row, "cells": dict(row["cells"])} for row in mine] != rows:
        yield Problem(job.tables["batches"].path, "it says other than the commit entries")


BATCH_NAMES: Final = ("offset", "length", "rows", "crc32", "blob_bytes")


def _file_row(entry: CommitEntry, file: FileEntry) -> dict[str, Any]:
    """What the files table must say of a file."""
    row = {name: getattr(file, name) for name in FILES_SCHEMA.names if hasattr(file, name)}
    own = {"flow": entry.flow, "source": entry.source, "entry": entry.task, "num_batches": len(file.batches)}
    return {name: {**row, **own}[name] for name in FILES_SCHEMA.names}
