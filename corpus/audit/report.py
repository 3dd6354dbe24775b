"""What an audit says: problems by path, and what was looked at and what was not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from schemas.errors import CorpusError

MAX_PROBLEMS: Final = 20
"""Problems that are named per path; the rest are counted."""
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` is relative to the corpus folder."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """A derived column or drop of the snapshot: how many of `num_rows` stored rows it says something about."""

    name: str
    kind: str
    num_covered: int
    num_rows: int


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Files that no commit entry and no snapshot names, and unfinished work: what `gc` would look at."""

    num_files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` read and what it found.

    Files and batches are those of samples and of rejects; `num_rows` counts samples that were read.
    Where `num_batches_read < num_batches`, the other batches' bytes were not looked at.
    """

    snapshot: str
    num_files: int
    num_batches: int
    num_batches_read: int
    num_rows: int
    bytes: int
    bytes_read: int
    problems: tuple[Problem, ...]
    derived: tuple[Coverage, ...]
    unnamed: Unnamed

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with what was looked at."""
        return not self.problems

    @property
    def is_whole(self) -> bool:
        """Whether every batch was read."""
        return self.num_batches_read == self.num_batches

    def lines(self) -> Iterator[str]:
        """The report for a person: problems first, then what was read and what was not."""
        for problem in self.problems:
            yield f"{problem.path}: {problem.what}"
        for one in self.derived:
            yield f"{one.kind} {one.name} covers {one.num_covered:,} of {one.num_rows:,} stored rows"
        if self.unnamed.num_files:
            size = f"{self.unnamed.bytes / MIB:,.1f} MiB"
            yield f"{self.unnamed.num_files:,} files ({size}) are named by nothing: `calabash gc` removes old ones"
        if not self.is_whole:
            read = f"{self.num_batches_read:,} of {self.num_batches:,} record batches"
            share = f"{self.bytes_read / MIB:,.1f} of {self.bytes / MIB:,.1f} MiB"
            yield f"a sample: {read} ({share}) were read; the rest of the shards was only measured"
        verdict = "sound" if self.ok else f"{len(self.problems)} problems"
        yield f"{verdict}: {self.num_files} files, {self.num_rows} rows read"


def collect(path: str, found: Iterator[str]) -> list[Problem]:
    """Run the checks of one path: at most MAX_PROBLEMS are named, an error that ends them is one."""
    return capped([Problem(path, what) for what in _until_error(found)])


def capped(problems: Iterable[Problem]) -> list[Problem]:
    """At most MAX_PROBLEMS of each path, in the order they came; how many more there are stands behind them."""
    by_path: dict[str, list[Problem]] = {}
    for problem in problems:
        by_path.setdefault(problem.path, []).append(problem)
    kept: list[Problem] = []
    for path, own in by_path.items():
        kept += own[:MAX_PROBLEMS]
        if len(own) > MAX_PROBLEMS:
            kept.append(Problem(path, f"and {len(own) - MAX_PROBLEMS} more"))
    return kept


def _until_error(found: Iterator[str]) -> Iterator[str]:
    try:
        yield from found
    except CorpusError as error:
        yield str(error)
