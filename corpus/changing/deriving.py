"""Writing a derived column: side tables by (file, batch, row), published like shards, named in a snapshot."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pyarrow as pa

from corpus.changing.taking import add_derived
from corpus.layout import DERIVED
from corpus.manifest.joining import PLACE
from corpus.manifest.pieces import write_table
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Derived, Part, Snapshot
from corpus.store.writing import Store, writing


def derive(
    store: Store,
    snapshot: Snapshot,
    name: str,
    kind: Literal["column", "drop"],
    made_by: Mapping[str, Any],
    values: pa.Table,
) -> Snapshot:
    """The next snapshot, with `values` about rows of `snapshot` as the derived column(s) `name`.

    `values` has the columns `file`, `batch`, `row` (`place_rows` makes them from row numbers) and the
    derived ones, whose names no other column may have. `made_by` is what decides them: versions and
    thresholds, no clock. Raises CorpusError where nothing can be written.
    """
    names = [column for column in values.column_names if column not in dict(PLACE)]
    part = Part(write(store, name, values), snapshot.entries)
    text = json.dumps([snapshot.corpus_sha256, name, kind, part.table.path, dict(made_by)], sort_keys=True)
    return add_derived(
        store,
        Derived(
            name=name,
            kind=kind,
            fingerprint=hashlib.sha256(text.encode()).hexdigest(),
            columns={column: str(values.schema.field(column).type) for column in names},
            parts=(part,),
        ),
    )


def write(store: Store, name: str, values: pa.Table):
    """Write one part of a derived column."""
    with writing(store.url):
        return write_table(store, f"{DERIVED}/{name}", "part", values)


def place_rows(places: Places, rows: Iterable[int]) -> "dict[str, pa.Array[Any]]":
    """The key columns `file`, `batch`, `row` of a snapshot's rows, given by number."""
    files: list[str] = []
    batches: list[int] = []
    numbers: list[int] = []
    for row in rows:
        batch, number = places.batch_of(row)
        files.append(places.paths[batch])
        batches.append(batch - places.file_first_batch[places.file_of(batch)])
        numbers.append(number)
    columns = (files, batches, numbers)
    return {name: pa.array(values, kind) for (name, kind), values in zip(PLACE, columns, strict=True)}
