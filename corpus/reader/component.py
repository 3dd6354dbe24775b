"""One corpus of a feed: where its rows are in the order, which of its batches are open, which are broken."""

import difflib
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from corpus.manifest.joining import joined
from corpus.reader.buffers import Blobs
from corpus.reader.order import WINDOW_BYTES, Order, batch_keys, hash_of, word_of
from corpus.reader.values import Decoder
from schemas.arrow import SAMPLE_SCHEMA
from schemas.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from corpus.reader.corpus import Corpus

NUM_OPEN: Final = 512
"""Batches of a feed that stay open, 130 KB each with all columns: a window has 64 of 16 MiB, and more smaller ones."""
LEAST_OPEN: Final = 32
"""Those of one component among many."""
NUM_THREADS: Final = 4
"""Batches that are read and checked at once."""
ALONE_BYTES: Final = 4 << 20
"""Less than this, and one thread has checked it (2 ms) before others have begun."""

Place = tuple[int, int]
"""A batch of the snapshot, and which of its chosen rows."""

Range = tuple[str, int, int]
"""(path, offset, length) of a batch."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are handed out: which columns (None: all stored ones), blobs as what, broken batches skipped or not."""

    columns: tuple[str, ...] | None = None
    blobs: Blobs = "bytes"
    quarantine: bool = False
    num_open: int = NUM_OPEN


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch: its values, the numbers of its chosen rows (None: all), the snapshot's number of its first row."""

    decoder: Decoder
    rows: list[int] | None
    first_row: int


class Component:
    """The rows of a corpus by position: position p is place p % rows of epoch p // rows.

    Raises ConfigError for a column that the corpus has neither stored nor derived.
    """

    def __init__(
        self, name: str, corpus: "Corpus", seed: int, reading: Reading, window_bytes: int = WINDOW_BYTES
    ) -> None:
        self.name = name
        self.corpus = corpus
        self._reading = reading
        self._stored, self._derived = _split(name, corpus, reading.columns)
        places = corpus.places
        self.order = Order(
            corpus.chosen.counts,
            batch_keys(places),
            places.batch_columns["length"],
            hash_of(seed, word_of(name)),
            window_bytes,
        )
        self._open: OrderedDict[int, Opened] = OrderedDict()
        self._chosen: OrderedDict[int, list[int] | None] = OrderedDict()
        self._entered: tuple[int, int] | None = None
        self.quarantined: dict[int, str] = {}
        """What is wrong with each batch that was skipped, by its number."""

    def places(self, start: int, stop: int) -> list[Place]:
        """Where the rows of positions [start, stop) are."""
        num, found = self.order.num_rows, list[Place]()
        while start < stop:
            epoch, place = divmod(start, num)
            end = min(stop, (epoch + 1) * num)
            found += self.order.places(epoch, place, place + end - start)
            start = end
        return found

    def enter(self, position: int) -> bool:
        """Take a position's window for the one that is read; whether it is another than before."""
        epoch, place = divmod(position, self.order.num_rows)
        entered = epoch, self.order.window_at(epoch, place).number
        is_new, self._entered = entered != self._entered, entered
        return is_new

    def ahead(self) -> tuple[list[Range], list[Range]]:
        """What of the window that was entered is not open yet, and all of the next one."""
        if self._entered is None:
            return [], []
        epoch, number = self._entered
        window = self.order.window(epoch, number)
        after = self.order.window_after(epoch, window)
        due = [batch for batch in window.batches.to_pylist() if batch not in self._open]
        return self._ranges(due), self._ranges(after.batches.to_pylist())

    def ready(self, batches: Iterable[int]) -> None:
        """Open what is not open yet, several at once: a checksum takes a batch's 16 MiB through memory, 6 ms."""
        missing = [
            batch for batch in dict.fromkeys(batches) if batch not in self._open and batch not in self.quarantined
        ]
        lengths = self.corpus.places.batch_columns["length"]
        if len(missing) > 1 and sum(lengths[batch] for batch in missing) > ALONE_BYTES:
            with ThreadPoolExecutor(NUM_THREADS) as pool:
                for batch, read in zip(missing, pool.map(self._read, missing), strict=True):
                    self._kept(batch, read)

    def row(self, position: int, batch: int, k: int) -> dict[str, Any]:
        """The row of a position, whose place is (batch, k); the next sound one where that is broken and may be skipped.

        Raises CorpusError as `corpus.commit.opening.open_batch` does.
        """
        opened = self._opened(batch)
        if opened is None:
            opened, k = self._sound_after(position)
        row = k if opened.rows is None else opened.rows[k]
        values = opened.decoder.row(row)
        for column in self._derived:
            values[column] = self._learnt[column][opened.first_row + row].as_py()
        return values

    def number(self, batch: int, k: int) -> int:
        """The snapshot's row number of a place."""
        rows = self._rows(batch)
        return self.corpus.places.first_row[batch] + (k if rows is None else rows[k])

    def _rows(self, batch: int) -> list[int] | None:
        """The numbers of a batch's chosen rows; None where all are."""
        if batch not in self._chosen:
            self._chosen[batch] = self.corpus.chosen.rows(batch)
            if len(self._chosen) > self._reading.num_open:
                self._chosen.popitem(last=False)
        self._chosen.move_to_end(batch)
        return self._chosen[batch]

    @cached_property
    def _learnt(self) -> dict[str, Any]:
        """The derived columns that were asked for, a value for every stored row."""
        return {
            column: joined(self.corpus.places, one).column(column).combine_chunks()
            for one in self.corpus.snapshot.derived
            for column in one.columns
            if one.kind == "column" and column in self._derived
        }

    def _opened(self, batch: int) -> Opened | None:
        """A batch, opened; None where it is broken and may be skipped."""
        if batch in self._open:
            self._open.move_to_end(batch)
            return self._open[batch]
        return None if batch in self.quarantined else self._kept(batch, self._read(batch))

    def _read(self, batch: int) -> pa.RecordBatch | CorpusError:
        """A batch, or what is wrong with it; several threads may ask at once."""
        try:
            return self.corpus.places.open(batch)
        except CorpusError as error:
            return error

    def _kept(self, batch: int, read: pa.RecordBatch | CorpusError) -> Opened | None:
        """What was read, as one of the open batches; None where it is broken and may be skipped."""
        if isinstance(read, CorpusError):
            if not self._reading.quarantine or _is_passing(read):
                raise read
            self.quarantined[batch] = str(read)
            warnings.warn(f"quarantined, and other rows read in its place: {read}", stacklevel=2)
            return None
        decoder = Decoder(read, self._stored, blobs=self._reading.blobs)
        self._open[batch] = Opened(decoder, self._rows(batch), self.corpus.places.first_row[batch])
        if len(self._open) > self._reading.num_open:
            self._open.popitem(last=False)
        return self._open[batch]

    def _sound_after(self, position: int) -> tuple[Opened, int]:
        """The next place of the window, from its end on to its start, whose batch opens."""
        epoch, place = divmod(position, self.order.num_rows)
        window = self.order.window_at(epoch, place)
        for other in (*range(place + 1, window.stop), *range(window.start, place)):
            ((batch, k),) = window.places(other, other + 1)
            opened = self._opened(batch)
            if opened is not None:
                return opened, k
        raise CorpusError(
            f"every batch of a window of {self.corpus.snapshot.url} is broken, so none can stand in; the last: "
            f"{next(reversed(self.quarantined.values()))}"
        )

    def _ranges(self, batches: Iterable[int]) -> list[Range]:
        places = self.corpus.places
        columns = places.batch_columns
        return [(places.paths[batch], columns["offset"][batch], columns["length"][batch]) for batch in batches]

    def __getstate__(self) -> dict[str, Any]:
        """A spawned worker opens batches for itself."""
        return {**self.__dict__, "_open": OrderedDict(), "_entered": None}


def _split(name: str, corpus: "Corpus", columns: Sequence[str] | None) -> tuple[list[str] | None, list[str]]:
    """The stored and the derived columns among those asked for."""
    if columns is None:
        return None, []
    derived = [column for one in corpus.snapshot.derived if one.kind == "column" for column in one.columns]
    known = [*SAMPLE_SCHEMA.names, *derived]
    for column in columns:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1, cutoff=0.0)
            raise ConfigError(f"component {name!r} has no column {column!r}; did you mean {near[0]!r}?")
    return [column for column in columns if column not in derived], [column for column in columns if column in derived]


def _is_passing(error: CorpusError) -> bool:
    """Whether a batch could not be reached, rather than being broken: that may pass, and no row should go for it."""
    return isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
