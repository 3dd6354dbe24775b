"""Which rows of a snapshot pass a filter: one bit per row, by piece, and counts by batch."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from corpus.compute import pc
from corpus.manifest.joining import is_dropped
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Piece
from corpus.manifest.tables import read_table
from corpus.reader.filters import Filters, columns_of, may_hold, passing


@dataclass(frozen=True)
class Chosen:
    """The rows that pass `filters`, are not dropped and, unless `demo`, not of grade `demo`."""

    places: Places
    filters: Filters
    demo: bool

    @cached_property
    def masks(self) -> list[pa.BooleanArray | None]:
        """By piece, a bit for each of its rows; None where all of them are chosen."""
        dropped = is_dropped(self.places)
        masks: list[pa.BooleanArray | None] = []
        first = 0
        for piece in self.places.snapshot.pieces:
            mask = self._passing(piece)
            if dropped is not None:
                kept = pc.invert(dropped.slice(first, piece.num_rows))
                mask = kept if mask is None else pc.and_(mask, kept)
            masks.append(None if mask is None or mask.true_count == piece.num_rows else mask)
            first += piece.num_rows
        return masks

    @cached_property
    def num_rows(self) -> int:
        """How many rows are chosen."""
        pairs = zip(self.masks, self.places.snapshot.pieces, strict=True)
        return sum(piece.num_rows if mask is None else mask.true_count for mask, piece in pairs)

    @cached_property
    def counts(self) -> list[int]:
        """Chosen rows of every batch of the snapshot."""
        counts: list[int] = []
        for mask, rows in self._by_piece():
            if mask is None:
                counts += rows
                continue
            if not mask.true_count:
                counts += [0] * len(rows)
                continue
            first = 0
            for num in rows:
                counts.append(mask.slice(first, num).true_count)
                first += num
        return counts

    def rows(self, batch: int) -> list[int] | None:
        """The numbers, in a batch, of its chosen rows, ascending; None where all are."""
        first = self.places.first_row[batch]
        for mask, piece in zip(self.masks, self.places.snapshot.pieces, strict=True):
            if first < piece.num_rows:
                num = self.places.batch_columns["rows"][batch]
                return None if mask is None else pc.indices_nonzero(mask.slice(first, num)).to_pylist()
            first -= piece.num_rows
        raise IndexError(batch)

    def _by_piece(self) -> Iterator[tuple[pa.BooleanArray | None, list[int]]]:
        rows, first = self.places.batch_columns["rows"], 0
        for mask, piece in zip(self.masks, self.places.snapshot.pieces, strict=True):
            yield mask, rows[first : first + piece.num_batches]
            first += piece.num_batches

    def _passing(self, piece: Piece) -> pa.BooleanArray | None:
        if not may_hold(piece.cells, {flow for flow, _ in piece.commits}, self.filters):
            return pa.repeat(pa.scalar(False), piece.num_rows)  # pyright: ignore[reportReturnType]
        names = columns_of(self.filters, self.demo)
        if not names:
            return None
        table = read_table(self.places.snapshot.files, piece.tables["samples"], names, are_tags=True)
        bits = passing(table, self.filters, self.demo)
        return None if bits is None else bits.combine_chunks()  # pyright: ignore[reportReturnType]
