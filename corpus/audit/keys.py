"""What must be true of rows beside each other, in bounded memory: no id twice, no group in two splits."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpus.audit.report import Problem
from corpus.compute import pc
from corpus.layout import SPLITS
from corpus.manifest.joining import is_dropped
from corpus.manifest.places import Places
from corpus.manifest.tables import read_table

MAX_SUSPECTS: Final = 10_000
"""Hashes that are looked up again: a corpus that is wrong everywhere is not listed whole."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Keys:
    """A piece's rows that a reader sees: their numbers in the snapshot, ids, groups and splits."""

    rows: pa.Int64Array
    ids: pa.StringArray
    groups: pa.StringArray
    splits: pa.StringArray


def key_problems(places: Places) -> Iterator[Problem]:
    """Ids held twice, then groups that cross splits, in table order; dropped rows do not count.

    A row costs 8 bytes for its id and 9 for each new (group, split) of its piece: 16.7M rows, 0.3 GB.
    Raises CorpusError where a table is broken.
    """
    ids: list[Hashes] = []
    groups: list[Hashes] = []
    splits: list[NDArray[np.uint8]] = []
    for keys in pieces(places):
        ids.append(hashes(keys.ids))
        table = pa.Table.from_arrays([keys.groups, keys.splits], names=["group", "split"])
        pairs: Any = table.group_by(["group", "split"]).aggregate([])
        groups.append(hashes(pairs.column("group").combine_chunks()))
        splits.append(_codes(pairs.column("split").combine_chunks()))
    if not ids:
        return
    twice = _repeated(np.concatenate(ids))
    crossing = _crossing(np.concatenate(groups), np.concatenate(splits))
    if len(twice):
        yield from _twice(places, twice)
    if len(crossing):
        yield from _crossed(places, crossing)


def pieces(places: Places) -> Iterator[Keys]:
    """The keys of each piece in turn, without dropped rows."""
    dropped, files, first = is_dropped(places), places.snapshot.files, 0
    for piece in places.snapshot.pieces:
        keys = read_table(files, piece.tables["keys"], ["id", "group_id"])
        splits = read_table(files, piece.tables["samples"], ["split"]).column("split")
        rows = pa.array(np.arange(first, first + piece.num_rows))
        table = keys.append_column("split", splits).append_column("row", rows)
        if dropped is not None:
            table = table.filter(pc.invert(dropped.slice(first, piece.num_rows)))
        columns: dict[str, Any] = {name: table.column(name).combine_chunks() for name in table.column_names}
        yield Keys(columns["row"], columns["id"], columns["group_id"], columns["split"])
        first += piece.num_rows


def hashes(values: pa.StringArray) -> Hashes:
    """64 bits of each string: 16.7M of them are equal by chance with a probability of 8e-6 (n * n / 2^65)."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter((digest(value or b"") for value in values.cast(pa.binary()).to_pylist()), np.uint64, len(values))


def _codes(splits: pa.StringArray) -> NDArray[np.uint8]:
    index = pc.fill_null(pc.index_in(splits, pa.array(SPLITS)), len(SPLITS))
    return index.to_numpy(zero_copy_only=False).astype(np.uint8)


def _repeated(values: Hashes) -> Hashes:
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])[:MAX_SUSPECTS]


def _crossing(groups: Hashes, splits: NDArray[np.uint8]) -> Hashes:
    order = np.argsort(groups, kind="stable")
    groups, splits = groups[order], splits[order]
    differ = (groups[1:] == groups[:-1]) & (splits[1:] != splits[:-1])
    return np.unique(groups[1:][differ])[:MAX_SUSPECTS]


def _suspects(places: Places, suspects: Hashes, kind: str) -> Iterator[tuple[int, str, str]]:
    """The rows whose id ("ids") or group ("groups") has one of these hashes: (row, the string, split)."""
    for keys in pieces(places):
        column: pa.StringArray = getattr(keys, kind)
        for index in np.flatnonzero(np.isin(hashes(column), suspects)).tolist():
            yield keys.rows[index].as_py(), str(column[index]), str(keys.splits[index])


def _twice(places: Places, suspects: Hashes) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for row, id, _ in _suspects(places, suspects, "ids"):
        if id in first:
            other = _path(places, first[id])
            yield Problem(_path(places, row), f"row {id!r}: the snapshot holds this id twice, first in {other}")
        first.setdefault(id, row)


def _crossed(places: Places, suspects: Hashes) -> Iterator[Problem]:
    first: dict[str, tuple[int, str]] = {}
    told: set[tuple[str, str]] = set()
    for row, group, split in _suspects(places, suspects, "groups"):
        other, known = first.setdefault(group, (row, split))
        if split != known and (group, split) not in told:
            told.add((group, split))
            where = _path(places, other)
            what = f"group {group!r} is in split {split!r} here and in {known!r} in {where}; a patient may not cross"
            yield Problem(_path(places, row), what)


def _path(places: Places, row: int) -> str:
    return places.paths[places.batch_of(row)[0]]
