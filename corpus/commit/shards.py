"""Writing Arrow IPC stream files: rows in, bounded batches and shards out, hashed on the way."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import xxhash

from corpus.commit.entries import BatchEntry
from corpus.layout import cell
from schemas.errors import CorpusError

MIB: Final = 1 << 20
END_OF_STREAM: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What closes an IPC stream (Arrow columnar format, "IPC Streaming Format")."""
ROW_OVERHEAD: Final = 2048
"""Bytes that a row takes beside its images and messages, roughly: tags, provenance, offsets."""
PIECE_ROWS: Final = 128
"""Rows that are turned into columns at once, 1.5 ms: what is on the wire waits as long, and objects die young."""
LATE: Final = "images"
"""The column that is converted when its batch ends: its bytes would be copied once more to join pieces."""


def batch_of(rows: list[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as one record batch. Raises CorpusError, naming the column, where a value has another type."""
    columns: list[pa.Array[Any]] = []
    names: list[str] = schema.names
    # itemgetter and zip: a third of the time of a list for every column
    values = zip(*map(itemgetter(*names), rows), strict=True) if len(names) > 1 else [[row[names[0]] for row in rows]]
    for field, column in zip(schema, values, strict=True):
        try:
            columns.append(pa.array(column, type=field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError) as error:
            raise CorpusError(
                f"column {field.name!r} wants {field.type}: {error}; the rows are {rows[0].get('id')!r} to "
                f"{rows[-1].get('id')!r}; correct what made them"
            ) from error
    return pa.record_batch(columns, schema=schema)


def joined(pieces: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Record batches of one schema as one; its bytes are those of a batch that was made at once."""
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)  # pyright: ignore[reportAttributeAccessIssue]


def warm_up() -> None:
    """Let pyarrow load what its first conversion loads (pandas, 0.3 s), so that the last reply need not wait."""
    pa.array([""])


def row_bytes(row: Mapping[str, Any]) -> tuple[int, int]:
    """About how many bytes a row takes in a batch, and its images alone; decides where batches end: never change it."""
    blobs = 0
    for image in row.get(LATE, ()):
        blobs += len(image["bytes"] or b"")
    size = ROW_OVERHEAD + blobs + len(row.get("text") or "")
    for message in row.get("messages", ()):
        for part in message["content"]:
            size += len(part.get("text") or "")
    return size, blobs


@dataclass(frozen=True, slots=True)
class Limits:
    """Where batches and shards end, in bytes and rows."""

    batch_bytes: int = 16 * MIB
    batch_rows: int = 2048
    row_bytes: int = 256 * MIB
    """The most a batch may take: only a row alone in its batch comes near."""
    shard_bytes: int = 512 * MIB


LIMITS: Final = Limits()
"""The format's own limits (`corpus/README.md` gives the measurements); tests use smaller ones."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A finished, durable Arrow file that has no final name yet."""

    path: Path
    rows: int
    bytes: int
    xxh3_128: str
    batches: tuple[BatchEntry, ...]


class StreamFile:
    """One Arrow IPC stream being written: knows each batch's offset and hashes every byte once.

    pyarrow's own writer writes to it buffer by buffer: a serialized batch would be one more copy.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._batches: list[BatchEntry] = []
        self._head = schema.serialize().size  # pyarrow writes the schema with the first batch
        self._sink = Sink(path)
        sink: Any = self._sink  # its stub knows no file-like objects
        self._writer = pa.ipc.new_stream(sink, schema)

    @property
    def position(self) -> int:
        """Bytes so far."""
        return self._sink.tell()

    def write(self, batch: pa.RecordBatch, num_blob_bytes: int, cells: Mapping[str, int]) -> None:
        """Append one record batch."""
        offset = max(self.position, self._head)
        self._sink.sum_from(offset)
        self._writer.write_batch(batch)
        length = self.position - offset
        self._batches.append(BatchEntry(offset, length, batch.num_rows, self._sink.crc32, num_blob_bytes, dict(cells)))

    def finish(self) -> StagedFile:
        """End the stream, make it durable, close it."""
        self._writer.close()
        self._sink.sync()
        self.close()
        rows = sum(batch.rows for batch in self._batches)
        return StagedFile(self.path, rows, self.position, self._sink.xxh3_128.hexdigest(), tuple(self._batches))

    def close(self) -> None:
        """Close the file without ending the stream."""
        self._sink.close()


class Sink:
    """The file that pyarrow writes to: hashed as it is written. `crc32` is zlib's of all bytes from `sum_from` on."""

    def __init__(self, path: Path) -> None:
        self.xxh3_128 = xxhash.xxh3_128()
        self.crc32 = 0
        self._first = self._position = 0
        self._handle = path.open("wb")

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._handle.closed

    def sum_from(self, offset: int) -> None:
        """Begin another CRC-32, with the byte at `offset`, which is not written yet."""
        self.crc32, self._first = 0, offset

    def write(self, data: "pa.Buffer | bytes") -> int:
        """Append bytes."""
        view = memoryview(data)  # pyright: ignore[reportArgumentType]  # a Buffer has the buffer protocol
        self._handle.write(view)
        self.xxh3_128.update(view)
        self.crc32 = zlib.crc32(view[max(self._first - self._position, 0) :], self.crc32)
        self._position += len(view)
        return len(view)

    def tell(self) -> int:
        """Bytes so far."""
        return self._position

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._handle.flush()

    def sync(self) -> None:
        """Make everything durable."""
        self._handle.flush()
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


class ShardSet:
    """Rows of one partition, streamed into as many shards as they need; at most one batch is in memory."""

    def __init__(self, folder: Path, prefix: str, schema: pa.Schema, limits: Limits = LIMITS) -> None:
        self._folder = folder
        self._prefix = prefix
        self._schema = schema
        self._limits = limits
        self._rows: list[Mapping[str, Any]] = []
        self._pieces: list[pa.RecordBatch] = []
        self._late: list[Mapping[str, Any]] = []
        self._early = pa.schema([field for field in schema if field.name != LATE])
        self._num_rows = self._bytes = self._blob_bytes = 0
        self._cells: Counter[str] = Counter()
        self._is_tagged = "organ_system" in schema.names
        self._stream: StreamFile | None = None
        self._finished: list[StagedFile] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row. Raises CorpusError where it alone passes the cap of a batch."""
        size, blobs = row_bytes(row)
        if size > self._limits.row_bytes:
            raise CorpusError(
                f"row {row.get('id', row.get('record_id'))!r} takes {size:,} bytes, over the cap of "
                f"{self._limits.row_bytes:,} for a record batch; render fewer or smaller frames"
            )
        if self._num_rows and self._bytes + size > self._limits.batch_bytes:
            self._flush()
        self._rows.append(row)
        self._num_rows += 1
        self._bytes += size
        self._blob_bytes += blobs
        if self._num_rows >= self._limits.batch_rows:
            self._flush()
        elif len(self._rows) >= PIECE_ROWS:
            self._convert()

    def finish(self) -> Iterator[StagedFile]:
        """Write what is left; yields every shard in order, durable."""
        self._flush()
        self._end_shard()
        yield from self._finished

    def close(self) -> None:
        """Let go of the open file; what was written is garbage."""
        if self._stream is not None:
            self._stream.close()

    def _convert(self) -> None:
        """Turn the rows at hand into columns."""
        if not self._rows:
            return
        self._pieces.append(batch_of(self._rows, self._early))
        if len(self._early) < len(self._schema):
            self._late += [{"id": row.get("id"), LATE: row[LATE]} for row in self._rows]
        if self._is_tagged:
            self._cells.update(cell(row["organ_system"], row["scope"], row["modality"]) for row in self._rows)
        self._rows = []

    def _flush(self) -> None:
        self._convert()
        if not self._pieces:
            return
        if self._stream is None:
            name = f"{self._prefix}-{len(self._finished):05d}.arrow"
            self._stream = StreamFile(self._folder / name, self._schema)
        self._stream.write(self._joined(), self._blob_bytes, self._cells)
        self._pieces, self._late, self._cells = [], [], Counter()
        self._num_rows = self._bytes = self._blob_bytes = 0
        if self._stream.position >= self._limits.shard_bytes:
            self._end_shard()

    def _joined(self) -> pa.RecordBatch:
        """The pieces as one batch, with the late column in its place."""
        batch = joined(self._pieces)
        if not self._late:
            return batch
        late = batch_of(self._late, pa.schema([self._schema.field(LATE)])).column(0)
        columns = [late if name == LATE else batch.column(name) for name in self._schema.names]
        return pa.record_batch(columns, schema=self._schema)

    def _end_shard(self) -> None:
        if self._stream is not None:
            self._finished.append(self._stream.finish())
            self._stream = None
