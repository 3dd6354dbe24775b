"""Between corpus and catalogue on one side and the engines that compare on the other: items in, drop lists out."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import dataclasses
import importlib.metadata
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, overload

import pyarrow as pa

from corpus.changing.deriving import derive, place_rows
from corpus.likeness.items import Drop, Item, Pictures
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot
from corpus.manifest.tables import read_table
from corpus.reader.corpus import Corpus, pick
from corpus.store.writing import Store
from schemas.record import Record
from sources.tagging.cascade import tag

VERSION: Final = 1
"""Raised when rows, records or benchmarks become items in another way."""
LIBRARIES: Final = ("numpy", "pillow", "rapidfuzz", "rensa", "xxhash")
"""What decides likeness beside our own code."""
COLUMNS: Final = (
    "messages", "media", "source", "group_id", "modality", "flow", "split", "grade", "content_sha256", "num_frames"
)  # fmt: skip
"""What an item needs of a row besides its pictures, which are read when they are asked for."""


def without_own(snapshot: Snapshot, name: str) -> Snapshot:
    """The snapshot as it would be without its derived column `name`: what that column must be made from."""
    return dataclasses.replace(snapshot, derived=tuple(one for one in snapshot.derived if one.name != name))


class RowItems(Sequence[Item]):
    """The snapshot's rows, those dropped left out, demo rows too, made when they are asked for.

    An item's number is the row's in the snapshot. Iterating reads batch by batch, without the pictures.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        opened = Corpus(snapshot, demo=True)
        self._places, self._chosen = opened.places, opened.chosen
        self._first = list(accumulate(self._chosen.counts, initial=0))
        self._rows = lru_cache(maxsize=64)(self._rows_of)

    def __len__(self) -> int:
        return self._first[-1]

    def __iter__(self) -> Iterator[Item]:
        for batch, count in enumerate(self._chosen.counts):
            if count:
                yield from self._read(batch, self._rows(batch))

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> list[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | list[Item]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        position = at % len(self)
        batch = bisect_right(self._first, position) - 1
        return next(self._read(batch, [self._rows(batch)[position - self._first[batch]]]))

    def _rows_of(self, batch: int) -> list[int]:
        rows = self._chosen.rows(batch)
        return list(range(self._chosen.counts[batch])) if rows is None else rows

    def _read(self, batch: int, rows: list[int]) -> Iterator[Item]:
        table, first = self._places.open(batch).select(list(COLUMNS)), self._places.first_row[batch]
        for row, values in zip(rows, pick(table, rows).to_pylist(), strict=True):
            yield _row_item(values, first + row, _row_pictures(self._places, batch, row))


def record_items(items: Iterable[tuple[int, Record]]) -> Iterator[Item]:
    """Records before generation, each with the number that the caller gives it."""
    for number, record in items:
        facts = record.facts
        asked = (facts.question.stem, *facts.question.options, facts.question.gold) if facts.question else ()
        turns = (text for _, text in facts.conversation)
        text = "\n".join(filter(None, (facts.caption, facts.report, *facts.labels, *asked, *turns)))
        frames = [frame.data for frame in record.frames]
        yield Item(
            number=number,
            source=record.source,
            group=record.group,
            text=text,
            pictures=lambda frames=frames: frames,
            num_pictures=len(frames),
            modality=tag(record).modality,
            keys=keys_of(record.group, (media.sha256 for media in record.media), (record.source,)),
            split=record.split or "train",
        )


def write_drops(
    store: Store, snapshot: Snapshot, name: str, made_by: Mapping[str, Any], drops: Sequence[Drop]
) -> Snapshot:
    """The next snapshot, without the rows that the drops name; it says why, for each of them.

    `snapshot` is what was looked at. Raises CorpusError where nothing can be written.
    """
    names = row_ids(snapshot, {int(drop.other) for drop in drops if drop.other.isdecimal()})
    values: dict[str, pa.Array[Any]] = {
        "reason": pa.array([drop.reason for drop in drops], pa.string()),
        "other": pa.array([names.get(drop.other, drop.other) for drop in drops], pa.string()),
        "score": pa.array([drop.score for drop in drops], pa.float64()),
        "detail": pa.array([drop.detail for drop in drops], pa.string()),
    }
    places = place_rows(Places(snapshot), [drop.number for drop in drops])
    made = {"version": VERSION, "libraries": versions(), **made_by}
    return derive(store, snapshot, name, "drop", made, pa.table({**places, **values}))


def row_ids(snapshot: Snapshot, numbers: Iterable[int]) -> dict[str, str]:
    """The ids of rows, by their numbers as text."""
    wanted, first = sorted(set(numbers)), 0
    found: dict[str, str] = {}
    for piece in snapshot.pieces:
        here = [number for number in wanted if first <= number < first + piece.num_rows]
        if here:
            ids = read_table(snapshot.files, piece.tables["keys"], ["id"]).column("id")
            found |= {str(number): str(ids[number - first].as_py()) for number in here}
        first += piece.num_rows
    return found


def versions() -> dict[str, str]:
    """The versions of the libraries that decide likeness."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _row_item(row: Mapping[str, Any], number: int, pictures: Pictures) -> Item:
    texts = (part["text"] for message in row["messages"] for part in message["content"] if part["text"])
    return Item(
        number=number,
        source=row["source"],
        group=row["group_id"],
        text="\n".join(texts),
        pictures=pictures,
        num_pictures=row["num_frames"],
        modality=row["modality"],
        keys=keys_of(row["group_id"], (media["sha256"] for media in row["media"]), (row["source"],)),
        flow=row["flow"],
        split=row["split"],
        grade=row["grade"],
        content_sha256=row["content_sha256"],
    )


def _row_pictures(places: Places, batch: int, row: int) -> Pictures:
    def read() -> list[bytes]:
        return [image["bytes"] for image in places.open(batch).column("images")[row].as_py()]

    return read


def keys_of(group: str, originals: Iterable[str], datasets: Iterable[str]) -> frozenset[str]:
    """What names the same original anywhere: the group, the originals' bytes, and (weakly) the data set."""
    named = (f"dataset:{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}" for name in datasets if name)
    return frozenset((group, *(f"image:{sha256}" for sha256 in originals), *named))
