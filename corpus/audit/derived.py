"""What must be true of derived columns and drops: their bytes, their types, and that the rows they name exist."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.audit.report import Coverage, Problem, collect
from corpus.compute import pc
from corpus.manifest.joining import schema_of
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Derived, Part
from corpus.manifest.tables import read_table


def derived_problems(places: Places, derived: Derived) -> list[Problem]:
    """All that is wrong with the parts of a derived column, each under the part's path."""
    problems: list[Problem] = []
    seen = np.zeros(places.snapshot.num_rows, np.bool_)
    for part in derived.parts:
        problems += collect(part.table.path, _part_problems(places, derived, part, seen))
    return problems


def coverage(places: Places, derived: Derived) -> Coverage:
    """How many stored rows are of entries that a derived column was made from."""
    known = {task for part in derived.parts for task in part.entries}
    columns = places.file_columns
    num_rows = sum(n for n, task in zip(columns["rows"], columns.get("entry", []), strict=True) if task in known)
    return Coverage(derived.name, derived.kind, num_rows, places.snapshot.num_rows)


def _part_problems(places: Places, derived: Derived, part: Part, seen: NDArray[np.bool_]) -> Iterator[str]:
    table = read_table(places.snapshot.files, part.table)
    wanted = schema_of(derived)
    if not table.schema.remove_metadata().equals(wanted):
        yield f"its columns are {table.schema.to_string(show_schema_metadata=False)!r}, not {wanted.to_string()!r}"
        return
    if table.num_rows != part.table.rows:
        yield f"it holds {table.num_rows} rows and the snapshot says {part.table.rows}"
    columns = places.file_columns
    paths = pa.array(columns["path"], pa.string())
    file = pc.index_in(table.column("file"), paths)
    named = pc.is_in(pa.array(columns.get("entry", []), pa.string()), pa.array(part.entries, pa.string()))
    yield from _say(table, pc.invert(pc.fill_null(pc.take(named, file), True)), "is of an entry that it does not name")
    if set(part.entries) <= set(places.snapshot.entries):
        yield from _say(table, pc.is_null(file), "is in no file of the snapshot")
    batch = table.column("batch")
    num_batches = pc.take(pa.array(columns.get("num_batches", []), pa.int64()), file)
    inside = pc.and_(pc.greater_equal(batch, 0), pc.less(batch, num_batches))
    yield from _say(table, pc.invert(pc.fill_null(inside, True)), "is in no batch of its file")
    first = pc.take(pa.array(places.file_first_batch, pa.int64()), file)
    number = pc.if_else(inside, pc.add(first, batch), None)
    num_rows = pc.take(pa.array(places.batch_columns["rows"], pa.int64()), number)
    row = table.column("row")
    exists = pc.and_(pc.greater_equal(row, 0), pc.less(row, num_rows))
    yield from _say(table, pc.invert(pc.fill_null(exists, True)), "is not in its batch")
    positions = pc.add(pc.take(pa.array(places.first_row, pa.int64()), number), row)
    yield from _again(table, pc.if_else(exists, positions, None), seen)


def _again(table: pa.Table, positions: "pa.ChunkedArray[Any]", seen: NDArray[np.bool_]) -> Iterator[str]:
    """Rows that this part, or one before it (`seen`, a bit per row of the snapshot), says something about already."""
    numbers = pc.fill_null(positions, -1).to_numpy()
    order = np.argsort(numbers, kind="stable")
    twice = np.zeros(len(numbers), np.bool_)
    twice[order[1:]] = numbers[order[1:]] == numbers[order[:-1]]
    twice |= seen[numbers]
    seen[numbers[numbers >= 0]] = True
    yield from _say(table, pa.array(twice & (numbers >= 0)), "is named twice")


def _say(table: pa.Table, bits: "pa.ChunkedArray[Any]", what: str) -> Iterator[str]:
    for index in pc.indices_nonzero(bits).to_pylist():
        file, batch, row = (table.column(name).slice(index, 1).to_pylist()[0] for name in ("file", "batch", "row"))
        yield f"row {row} of batch {batch} of {file} {what}"
