"""Joining derived columns to a snapshot's rows: values, or nulls where nothing was learnt."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false
# (pyarrow's stubs leave type parameters open and lack some functions)

from typing import Any, Final

import pyarrow as pa

from corpus.compute import pc
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Derived
from corpus.manifest.tables import read_table
from schemas.errors import CorpusError

PLACE: Final = (("file", pa.string()), ("batch", pa.int32()), ("row", pa.int32()))
"""The key columns of every derived table: a shard's path, the batch in it, the row in that."""


def schema_of(derived: Derived) -> pa.Schema:
    """The columns of a derived table."""
    of: Any = pa.type_for_alias  # its stub knows one name only
    return pa.schema([*PLACE, *((name, of(kind)) for name, kind in derived.columns.items())])


def joined(places: Places, derived: Derived) -> pa.Table:
    """The value columns of `derived`, one row per stored row of the snapshot, in table order."""
    num_rows = places.snapshot.num_rows
    empty = pa.table({name: pa.nulls(num_rows, schema_of(derived).field(name).type) for name in derived.columns})
    table = _read(places, derived)
    positions = _positions(places, derived, table)
    known = pc.is_valid(positions)
    if not pc.any(known).as_py():
        return empty
    table, positions = table.filter(known), positions.filter(known)
    # scatter: where each of the snapshot's rows is among those of the side table
    index = pc.inverse_permutation(positions, max_index=num_rows - 1, output_type=pa.int64())
    return table.select(list(derived.columns)).take(index)


def is_dropped(places: Places) -> pa.BooleanArray | None:
    """Which stored rows a drop names, one bit each; None where the snapshot has no drops."""
    drops = [one for one in places.snapshot.derived if one.kind == "drop" and one.num_rows]
    if not drops:
        return None
    found = pa.concat_arrays([_flat(_positions(places, one, _read(places, one))) for one in drops]).drop_null().unique()
    ones = pa.repeat(pa.scalar(True), len(found))
    return pc.fill_null(pc.scatter(ones, found, max_index=places.snapshot.num_rows - 1), False)


def _read(places: Places, derived: Derived) -> pa.Table:
    tables = [read_table(places.snapshot.files, part.table) for part in derived.parts]
    return pa.concat_tables(tables) if tables else schema_of(derived).empty_table()


def _positions(places: Places, derived: Derived, table: pa.Table) -> "pa.ChunkedArray[Any]":
    """Row numbers of a side table's rows; null for files that the snapshot does not hold.

    Raises CorpusError where a file of the snapshot has no such batch, or the batch no such row.
    """
    file = pc.index_in(table.column("file"), pa.array(places.file_columns["path"], pa.string()))
    batch = _inside(places, derived, table, "batch", file, places.file_columns["num_batches"])
    batch = pc.add(pc.take(pa.array(places.file_first_batch, pa.int64()), file), batch)
    row = _inside(places, derived, table, "row", batch, places.batch_columns["rows"])
    return pc.add(pc.take(pa.array(places.first_row, pa.int64()), batch), row)


def _inside(places: Places, derived: Derived, table: pa.Table, name: str, where: Any, sizes: list[int]) -> Any:
    """A column of numbers, each below the size of what it counts in; a number without a `where` is not looked at."""
    numbers: Any = table.column(name)
    size = pc.take(pa.array(sizes, pa.int64()), where)
    wrong = pc.fill_null(pc.or_(pc.less(numbers, 0), pc.greater_equal(numbers, size)), False)
    if pc.any(wrong).as_py():
        first = table.filter(wrong).select([key for key, _ in PLACE]).slice(0, 1).to_pylist()[0]
        raise CorpusError(
            f"derived column {derived.name!r} of {places.snapshot.url} names a {name} that is not there: {first}; "
            "make it again, or open an older snapshot"
        )
    return numbers


def _flat(column: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    return column.combine_chunks()
