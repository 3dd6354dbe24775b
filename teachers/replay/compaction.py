"""Compaction: the lines that one writer left become one compressed table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from teachers.replay.durable import refused
from teachers.replay.line import Kept, decode
from teachers.replay.names import TABLE, Span, span_of

if TYPE_CHECKING:
    from teachers.replay.mirror import Mirror


def compact(paths: Sequence[Path], mirror: "Mirror | None") -> None:
    """One table instead of some finished files of lines of one folder, which must not be empty.

    The table is on the disk under its name before the first file goes; a crash in between leaves
    replies twice, which count once. CorpusError when the disk refuses: then the lines stay.
    """
    from teachers.replay.table import write_table  # brings pyarrow, which logs of lines do without

    table = min(paths).with_suffix(TABLE)
    try:
        rows: dict[str, Kept] = {}
        spans: list[Span] = []
        there = [path for path in paths if path.exists()]  # one that was collected is in a table by now
        for path in there:
            spans.append(span_of(path, path.stat().st_size))
            for kept in read_lines(path):
                rows.setdefault(kept.key, kept)
        if there:
            write_table(table, rows.values(), spans)
        for path in there:
            retire(path, mirror)
    except OSError as error:
        raise refused(table, error) from error


def read_lines(path: Path) -> Iterator[Kept]:
    """Every whole line of a file; broken ones are left out."""
    with path.open("rb") as file:
        for line in file:
            kept = decode(line)
            if kept is not None:
                yield kept


def retire(path: Path, mirror: "Mirror | None") -> None:
    """Take away lines that a table holds by now; a mirror keeps them until they are sent."""
    if mirror is None:
        path.unlink(missing_ok=True)
    else:
        mirror.retire(path)
