"""Verifying a snapshot by reading everything again: names, checksums, schema, counts, tags, contents."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corpus.audit_files import data_problems, entry_problems, reject_problems, sample_problems
from corpus.audit_rows import RowChecks
from corpus.entries import CommitEntry, read_named
from corpus.layout import MANIFEST, commit_path
from corpus.snapshot import Snapshot, corpus_sha256, read_snapshot
from corpus.tables import SAMPLES, data_files, read_files
from schemas.errors import CorpusError

MAX_PROBLEMS: Final = 20
"""Problems that are named per file; the rest are counted."""


def verify(root: Path, snapshot: str = "latest") -> "Report":
    """Re-read a snapshot of the corpus at `root` and report all that is wrong with it.

    Raises CorpusError only where there is no such snapshot to verify.
    """
    opened = read_snapshot(root, snapshot)
    problems: list[Problem] = []
    entries = list(_entries(opened, problems))
    broken = _collect(f"{MANIFEST}/{opened.name}", _manifest_problems(opened, entries))
    problems += broken
    rows = RowChecks()
    files = data_files(entries)
    for index, (entry, file) in enumerate(files):
        found = _collect(file.path, data_problems(root, entry, file, rows))
        if not found and not broken:
            found = _collect(file.path, sample_problems(root, opened.path / SAMPLES, index, file))
        problems += found
    rejects = [(entry, entry.rejects) for entry in entries if entry.rejects]
    for entry, file in rejects:
        problems += _collect(file.path, reject_problems(root, entry, file))
    num_rows = sum(file.rows for _, file in files)
    return Report(opened.name, len(files) + len(rejects), num_rows, tuple(problems))


def _entries(snapshot: Snapshot, problems: "list[Problem]") -> Iterator[CommitEntry]:
    """The commit entries that can be read; the others become problems."""
    for flow, task in snapshot.commits:
        try:
            entry = read_named(snapshot.root, flow, task)
        except CorpusError as error:
            problems.append(Problem(commit_path(flow, task), str(error)))
            continue
        problems += _collect(commit_path(flow, task), entry_problems(entry))
        yield entry


def _manifest_problems(snapshot: Snapshot, entries: list[CommitEntry]) -> Iterator[str]:
    """Tables that changed or say other than the commit entries."""
    changed = [name for name, digest in snapshot.tables.items() if _sha256(snapshot.path / name) != digest]
    for name in changed:
        yield f"{name} is missing or its bytes changed; open an older snapshot, or take it again"
    if len(entries) != len(snapshot.commits):
        yield f"{len(snapshot.commits) - len(entries)} of its commit entries cannot be read"
        return
    if corpus_sha256(entries) != snapshot.corpus_sha256:
        yield "corpus_sha256 is not the hash of its commit entries' files"
    if sum(entry.num_rows for entry in entries) != snapshot.num_rows:
        yield f"num_rows is {snapshot.num_rows}, which its commit entries do not add up to"
    if not changed and read_files(snapshot.path) != [file for _, file in data_files(entries)]:
        yield "its tables of files and batches say other than its commit entries"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""


def _collect(path: str, found: Iterator[str]) -> "list[Problem]":
    """Run the checks of one path: at most MAX_PROBLEMS are named, an error that ends them is one."""
    problems: list[Problem] = []
    num_more = 0
    try:
        for what in found:
            if len(problems) < MAX_PROBLEMS:
                problems.append(Problem(path, what))
            else:
                num_more += 1
    except CorpusError as error:
        problems.append(Problem(path, str(error)))
    if num_more:
        problems.append(Problem(path, f"and {num_more} more"))
    return problems


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` is relative to the corpus folder."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` read and what it found; rejects' files count in `num_files`, not in `num_rows`."""

    snapshot: str
    num_files: int
    num_rows: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
