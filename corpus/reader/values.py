"""Rows of record batches as Python values, read from the buffers: no Arrow scalar is made on the way."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from corpus.manifest.places import Places
from corpus.reader.buffers import Bind, Blobs, Reads, binding
from schemas.errors import ConfigError

NUM_FORMATS: Final = 32
"""Schemas, columns and kinds of blobs whose readers are kept."""
RUN_ROWS: Final = 256
"""Rows that `Decoder.rows` reads at once: enough to share the work, few enough to die young."""
NUM_OPEN: Final = 128
"""Batches that stay open, 0.1 MB each: two windows of a shuffle over 64 batches (`corpus/README.md`)."""


class Decoder:
    """The rows of one record batch as dictionaries, equal to `batch.slice(i, 1).to_pylist()[0]`.

    `columns` are those of a row, in this order (None: all). With `blobs="view"` a binary value is a
    memoryview of the batch's own memory, which keeps it mapped; with "bytes" it is a copy. A column is
    prepared when it is first used. Raises ConfigError for a column that the batch lacks.
    """

    def __init__(self, batch: pa.RecordBatch, columns: Sequence[str] | None = None, *, blobs: Blobs = "view") -> None:
        self.num_rows = batch.num_rows
        self._batch = batch
        self._format = _format(batch.schema, None if columns is None else tuple(columns), blobs)
        self._reads: dict[str, Reads] = {}
        self._ones: list[tuple[str, Any]] | None = None

    def row(self, i: int) -> dict[str, Any]:
        """The columns of row `i`, from 0. Raises IndexError where there is none."""
        if not 0 <= i < self.num_rows:
            raise IndexError(f"row {i} of a batch of {self.num_rows}")
        if self._ones is None:
            self._ones = [(name, self.column(name)[0]) for name in self._format.columns]
        return {name: one(i) for name, one in self._ones}

    def rows(self, first: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        """Rows [first, stop) in turn (None: to the end), faster than one `row` after the other."""
        names, stop = self._format.columns, self.num_rows if stop is None else min(stop, self.num_rows)
        reads = [self.column(name) for name in names]
        for start in range(first, stop, RUN_ROWS):
            end = min(start + RUN_ROWS, stop)
            for values in zip(*[many(start, end) for _, many in reads], strict=True):
                yield dict(zip(names, values, strict=True))

    def column(self, name: str) -> Reads:
        """What reads one column's values, whether it is among `columns` or not."""
        reads = self._reads.get(name)
        if reads is None:
            place, bind = self._format.bind(name)
            array = self._batch.column(place)
            reads = self._reads[name] = bind(array, iter(array.buffers()))
        return reads


class OpenBatches:
    """Rows of a snapshot by batch and row, with the batches used last kept open.

    `columns` and `blobs` as in `Decoder`. Not for several threads at once; a spawned worker opens its own.
    """

    def __init__(
        self, places: Places, columns: Sequence[str] | None = None, *, blobs: Blobs = "view", num_open: int = NUM_OPEN
    ) -> None:
        self.places = places
        self.columns = None if columns is None else tuple(columns)
        self.blobs: Blobs = blobs
        self.num_open = num_open
        self._open: OrderedDict[int, Decoder] = OrderedDict()

    def row(self, batch: int, row: int) -> dict[str, Any]:
        """Row `row` of batch `batch`. Raises CorpusError as `Places.open` does."""
        decoder = self._open.get(batch)
        return (decoder or self.decoder(batch)).row(row)

    def decoder(self, batch: int) -> Decoder:
        """A batch's rows. Raises CorpusError as `Places.open` does."""
        decoder = self._open.get(batch)
        if decoder is None:
            decoder = self._open[batch] = Decoder(self.places.open(batch), self.columns, blobs=self.blobs)
            if len(self._open) > self.num_open:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(batch)
        return decoder

    def __reduce__(self) -> "tuple[Any, ...]":
        return _reopened, (self.places, self.columns, self.blobs, self.num_open)


def _reopened(places: Places, columns: Sequence[str] | None, blobs: Blobs, num_open: int) -> OpenBatches:
    return OpenBatches(places, columns, blobs=blobs, num_open=num_open)


@dataclass(frozen=True)
class Format:
    """How the columns of a schema are read; what it takes to find out is found out once."""

    schema: pa.Schema
    asked: tuple[str, ...] | None
    blobs: Blobs
    columns: tuple[str, ...]
    known: dict[str, tuple[int, Bind]]

    def bind(self, column: str) -> tuple[int, Bind]:
        """A column's place in the schema, and what makes its reader."""
        found = self.known.get(column)
        if found is None:
            place = self.schema.get_field_index(column)
            if place < 0:
                raise ConfigError(f"rows have no column {column!r}; there is: {', '.join(self.schema.names)}")
            found = self.known[column] = place, binding(self.schema.field(place).type, self.blobs)
        return found


_FORMATS: Final[deque[Format]] = deque(maxlen=NUM_FORMATS)


def _format(schema: pa.Schema, asked: tuple[str, ...] | None, blobs: Blobs) -> Format:
    # a schema's hash takes 30 us, and two of one origin compare in 0.1
    for known in tuple(_FORMATS):
        if known.asked == asked and known.blobs == blobs and known.schema == schema:
            return known
    made = Format(schema, asked, blobs, tuple(schema.names) if asked is None else asked, {})
    _FORMATS.append(made)
    return made
