"""Collecting: each block's files of kept replies become one table, without what nobody needs.

A file is left alone while a process writes to it (it holds a lock on it) and until it has not changed
for `SAFE_AGE_S`: where a file system has no locks, its age alone protects it.
"""

import os
import time
from collections.abc import Generator, Iterator, Set
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.errors import CorpusError
from teachers.replay.durable import refused
from teachers.replay.holdings import spans_in
from teachers.replay.line import Kept, decode
from teachers.replay.names import LINES, PARTIAL, REPLIES, TABLE, UNSENT, age_rank, block_folders, new_writer
from teachers.replay.table import Table, write_table
from teachers.replay.writer import lock_if_possible

SAFE_AGE_S: Final = 600.0
"""How long a file must have been left alone before it is collected, in seconds."""

LOCK: Final = ".collecting"
"""The file whose lock lets one process at a time collect a corpus."""


@dataclass(slots=True)
class Collected:
    """What collecting did, or would do, to one block. Sizes are bytes of replies on disk."""

    folder: Path
    num_kept: int = 0
    num_duplicates: int = 0
    num_broken: int = 0
    num_unnamed: int = 0
    num_files: int = 0
    num_skipped: int = 0
    """Files being written, or too young."""
    bytes_before: int = 0
    bytes_after: int = 0
    damaged: list[Path] = field(default_factory=list[Path])
    """Tables that cannot be read whole: they stay as they are."""

    @property
    def num_dropped(self) -> int:
        """Replies and lines that go."""
        return self.num_duplicates + self.num_broken + self.num_unnamed


@dataclass(frozen=True, slots=True)
class Rules:
    """How to collect. `named` is the (model, revision) pairs whose replies stay; None keeps everybody's.

    With `has_mirror`, lines that the mirror may lack are kept for it. `dry_run` changes nothing.
    """

    named: Set[tuple[str, str]] | None = None
    has_mirror: bool = False
    dry_run: bool = False
    safe_age_s: float = SAFE_AGE_S


def collect(root: Path, rules: Rules) -> Iterator[Collected]:
    """Collect every block below the corpus folder `root`, one after the other.

    A crash leaves replies twice, which count once, and never less than once. CorpusError when another
    process collects this corpus, or when the disk refuses.
    """
    folders = block_folders(root)
    if not folders:
        return
    with _alone(root / REPLIES / LOCK):
        for folder in folders:
            try:
                yield _collect_block(folder, rules)
            except OSError as error:
                raise refused(folder, error) from error


@contextmanager
def _alone(path: Path) -> Generator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock_if_possible(handle):
            raise CorpusError(f"{path.parent}: another process collects these replies; wait until it has ended")
        yield
    finally:
        os.close(handle)


def _collect_block(folder: Path, rules: Rules) -> Collected:
    done = Collected(folder)
    with ExitStack() as locks:
        paths = [path for path in _files(folder) if _is_free(path, rules, locks, done)]
        rows: dict[str, Kept] = {}
        merged = [path for path in paths if _merge(path, rows, rules, done)]
        sizes = {path: path.stat().st_size for path in merged}
        done.num_kept, done.num_files = len(rows), len(merged)
        done.bytes_before = done.bytes_after = sum(sizes.values())
        is_settled = done.num_dropped == 0 and (not merged or [path.suffix for path in merged] == [TABLE])
        if not rules.dry_run:
            if not is_settled:
                _replace(merged, rows, rules, done)
            _sweep(folder, rules)
    return done


def _files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if path.suffix in (LINES, TABLE)), key=age_rank)


def _is_free(path: Path, rules: Rules, locks: ExitStack, done: Collected) -> bool:
    """Whether a file may be collected; its lock is then ours until the block is done."""
    handle = os.open(path, os.O_RDWR)
    locks.callback(os.close, handle)
    if _is_old(path, rules) and lock_if_possible(handle):
        return True
    done.num_skipped += 1
    return False


def _is_old(path: Path, rules: Rules) -> bool:
    return time.time() - path.stat().st_mtime >= rules.safe_age_s


def _merge(path: Path, rows: dict[str, Kept], rules: Rules, done: Collected) -> bool:
    """Add a file's replies to `rows`; False for a table that is damaged beyond single rows."""
    try:
        found = list(_read(path))
    except (OSError, ValueError, KeyError):
        if path.suffix == LINES:
            raise
        done.damaged.append(path)
        return False
    for kept in found:
        if kept is None:
            done.num_broken += 1
        elif rules.named is not None and (kept.model, kept.revision) not in rules.named:
            done.num_unnamed += 1
        elif kept.key in rows:
            done.num_duplicates += 1
        else:
            rows[kept.key] = kept
    return True


def _read(path: Path) -> Iterator[Kept | None]:
    """Every reply of a file; None for each that is broken."""
    if path.suffix == LINES:
        with path.open("rb") as file:
            yield from (decode(line) for line in file)
    else:
        with closing(Table(path)) as table:
            yield from table.rows()


def _replace(merged: list[Path], rows: dict[str, Kept], rules: Rules, done: Collected) -> None:
    """Put one table in the place of the merged files; it is on the disk before the first of them goes."""
    table = merged[0].with_suffix(TABLE)
    if table.exists() and table not in merged:  # damaged, or too young to be touched
        table = table.with_name(f"{new_writer()}{TABLE}")
    keeps_table = bool(rows) or rules.has_mirror  # an empty one says what not to fetch again
    if keeps_table:
        write_table(table, rows.values(), [span for path in merged for span in spans_in(path)])
    for path in merged:
        if path == table and keeps_table:
            continue
        if rules.has_mirror and path.suffix == LINES and "-" not in path.stem:
            path.rename(path.with_suffix(UNSENT))
        else:
            path.unlink()
    done.bytes_after = table.stat().st_size if keeps_table else 0


def _sweep(folder: Path, rules: Rules) -> None:
    """Remove what broken-off work left, lines kept for a mirror that is no more, and an empty folder."""
    suffixes = (PARTIAL,) if rules.has_mirror else (PARTIAL, UNSENT)
    for path in list(folder.iterdir()):
        if path.suffix in suffixes and _is_old(path, rules):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
