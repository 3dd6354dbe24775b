"""Compacted replies: an Arrow IPC file in small zstd batches, each row with a checksum of its own."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from teachers.replay.durable import make_durable
from teachers.replay.line import Kept
from teachers.replay.names import PARTIAL, Span, new_writer

SCHEMA: Final = pa.schema(
    [
        (name, {str: pa.string(), int: pa.int64(), float: pa.float64(), bytes: pa.binary()}[kind])
        for name, kind in Kept.__annotations__.items()
    ]
    + [("crc32", pa.int64())]
)
"""A column per field of `Kept`, the key first, and the row's CRC-32 (`Kept.crc32`)."""

BATCH_BYTES: Final = 256 << 10
"""Text in one record batch, in bytes: what one `get` has to inflate, at most (or one reply)."""

MAX_BATCHES: Final = 4
"""Inflated batches at hand per open table."""

SPANS: Final = b"spans"
"""The key in a table's metadata that says which bytes of which writers it was made from."""


def write_table(path: Path, rows: Iterable[Kept], spans: Sequence[Span]) -> None:
    """Write a table and bring it to the disk, so that it exists whole or not at all. Raises OSError."""
    partial = path.with_name(f"{new_writer()}{PARTIAL}")
    schema = SCHEMA.with_metadata({SPANS: json.dumps(sorted(spans)).encode()})
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    try:
        with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
            for batch in _batches(rows):
                columns = [*zip(*batch, strict=True), [row.crc32() for row in batch]]
                arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
        make_durable(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    make_durable(path.parent)


def _batches(rows: Iterable[Kept]) -> Iterator[list[Kept]]:
    batch: list[Kept] = []
    size = 0
    for row in rows:
        length = len(row.request) + len(row.content) + len(row.reasoning)
        if batch and size + length > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch


class Table:
    """An open file of compacted replies. Every method raises OSError or pa.ArrowInvalid when it is damaged."""

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(str(path), "rb")
        self._reader = pa.ipc.open_file(self._file)
        self._batches: dict[int, Any] = {}

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()

    def spans(self) -> list[Span]:
        """Which bytes of which writers it was made from."""
        return [Span(*each) for each in json.loads((self._reader.schema.metadata or {})[SPANS])]

    def columns(self, names: Sequence[str]) -> Iterator[list[list[Any]]]:
        """The values of some columns, in the order of the schema, batch by batch; no other is inflated."""
        fields = [index for index, name in enumerate(SCHEMA.names) if name in names]
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        reader = pa.ipc.open_file(self._file, options=options)
        for index in range(reader.num_record_batches):
            yield [column.to_pylist() for column in reader.get_batch(index).columns]

    def read(self, batch: int, row: int) -> Kept | None:
        """One row; None when there is none or it fails its checksum."""
        if not 0 <= batch < self._reader.num_record_batches:
            return None
        return self._row(self._load(batch), row)

    def rows(self) -> Iterator[Kept | None]:
        """Every row in order; None for one that fails its checksum."""
        for index in range(self._reader.num_record_batches):
            batch = self._load(index)
            for row in range(batch.num_rows):
                yield self._row(batch, row)

    def _load(self, index: int) -> Any:
        """A batch, inflated; the last few stay at hand, since replies are asked for nearly in order."""
        if index not in self._batches:
            if len(self._batches) == MAX_BATCHES:
                del self._batches[next(iter(self._batches))]
            self._batches[index] = self._reader.get_batch(index)
        return self._batches[index]

    def _row(self, batch: Any, row: int) -> Kept | None:
        if row >= batch.num_rows:
            return None
        *values, crc32 = (column[row].as_py() for column in batch.columns)
        kept = Kept(*values)
        return kept if kept.crc32() == crc32 else None
