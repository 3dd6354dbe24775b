"""The hidden views that `datasets.load_from_disk` maps without a copy: JSON files over Arrow streams."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa

from corpus.compute import pc
from corpus.layout import NAME_CHARS, VIEW
from corpus.manifest.joining import is_dropped, joined
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot
from corpus.sharing.features import feature_of
from corpus.store.local import make_folder, write_file
from corpus.store.writing import Store
from schemas.arrow import FEATURES, Feature

DERIVED_VIEW: Final = str(PurePosixPath(VIEW).with_name("derived"))
"""Where the columns that were learnt later are, row beside row of the view of the shards."""
DROPPED: Final = "dropped"
"""The column of that view that says why a row is dropped; null where it is not."""
STREAM_ROWS: Final = 65_536
"""Rows of a record batch of that view: they hold no blobs."""


def write_view(store: Store, snapshot: Snapshot) -> None:
    """Point the views at a snapshot; `state.json`, which names the files, changes in one step.

    `datasets` joins the names to the view's folder, so they climb out of it. A corpus without rows has no
    view: `datasets` cannot map nothing. Derived columns and drops have a view of their own, where there are any.
    """
    climb, places = "/".join([".."] * len(PurePosixPath(VIEW).parts)), Places(snapshot)
    names = [f"{climb}/{path}" for path in places.file_columns["path"]]
    derived = derived_table(places) if names and snapshot.derived else None
    if derived is None:
        store.remove(f"{DERIVED_VIEW}/state.json")
    else:
        features = {field.name: feature_of(field.type) for field in derived.schema}
        _point(store, DERIVED_VIEW, snapshot, [_publish(store, derived)], features)
    if names:
        _point(store, VIEW, snapshot, names, FEATURES)
    else:
        store.remove(f"{VIEW}/state.json")


def derived_table(places: Places) -> pa.Table | None:
    """Every derived column, then `dropped`, one row per stored row; None where nothing was learnt."""
    columns = [one for one in places.snapshot.derived if one.kind == "column"]
    reasons = drop_reasons(places)
    if not columns and reasons is None:
        return None
    table: dict[str, Any] = {}
    for one in columns:
        values = joined(places, one)
        table.update({name: values.column(name) for name in one.columns})
    if reasons is None:
        reasons = pa.chunked_array([pa.nulls(places.snapshot.num_rows, pa.string())])
    return pa.Table.from_pydict({**table, DROPPED: reasons})


def drop_reasons(places: Places) -> "pa.ChunkedArray[Any] | None":
    """Why each stored row is dropped ("<drop>: <its columns>"), null where it is not; None without drops."""
    dropped = is_dropped(places)
    if dropped is None:
        return None
    reasons: Any = pa.chunked_array([pa.nulls(places.snapshot.num_rows, pa.string())])
    for one in places.snapshot.derived:
        if one.kind == "drop" and one.num_rows:
            said: Any = None
            for column in joined(places, one).itercolumns():
                text = pc.cast(column, pa.string())
                both = text if said is None else pc.binary_join_element_wise(said, text, ", ")
                said = text if said is None else pc.coalesce(both, said, text)
            if said is not None:
                reasons = pc.coalesce(reasons, pc.binary_join_element_wise(one.name, said, ": "))
    # a drop without columns, or with nulls in them, gives no reason: the row is dropped all the same
    return pc.if_else(dropped, pc.coalesce(reasons, DROPPED), pa.scalar(None, pa.string()))


def _publish(store: Store, table: pa.Table) -> str:
    """Write a table as one Arrow stream under a name that says its content; the name in its folder."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=STREAM_ROWS)
    data = sink.getvalue()
    name = f"data-{hashlib.sha256(data).hexdigest()[:NAME_CHARS]}.arrow"
    make_folder(store.scratch)
    staged = store.scratch / f"view-{uuid.uuid4().hex}"
    write_file(staged, data)  # pyright: ignore[reportArgumentType]  # it has the buffer protocol
    store.publish(staged, f"{DERIVED_VIEW}/{name}")
    return name


def _point(store: Store, view: str, snapshot: Snapshot, names: Sequence[str], features: Mapping[str, Feature]) -> None:
    info = {"features": features, "description": f"Calabash corpus, snapshot {snapshot.name}"}
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": hashlib.sha256(f"{view} {snapshot.sha256}".encode()).hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    store.replace(f"{view}/dataset_info.json", json.dumps(info, default=dict).encode())
    store.replace(f"{view}/state.json", json.dumps(state).encode())
