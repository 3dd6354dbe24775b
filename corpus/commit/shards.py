"""Writing Arrow IPC stream files: rows in, bounded batches and shards out, hashed on the way."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
PIECE_ROWS: Final = 32
"""Rows that are turned into columns at once, 2 ms: what is on the wire waits as long, and objects die young."""


def batch_of(rows: list[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as one record batch. Raises CorpusError, naming the column, where a value has another type."""
    columns: list[pa.Array[Any]] = []
    for field in schema:
        try:
            columns.append(pa.array([row[field.name] for row in rows], type=field.type))
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


def blob_bytes(row: Mapping[str, Any]) -> int:
    """The bytes of a row's images."""
    return sum(len(image["bytes"] or b"") for image in row.get("images", ()))


def row_bytes(row: Mapping[str, Any]) -> int:
    """About how many bytes a row takes in a batch; decides where batches end, so it must never change."""
    parts = (part for message in row.get("messages", ()) for part in message["content"])
    text = sum(len(part.get("text") or "") for part in parts)
    return blob_bytes(row) + text + len(row.get("text") or "") + ROW_OVERHEAD


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

    It writes the encapsulated messages itself: the bytes equal those of `pa.ipc.new_stream`.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.position = 0
        self._batches: list[BatchEntry] = []
        self._hash = xxhash.xxh3_128()
        self._handle = path.open("wb")
        self._write(schema.serialize())

    def write(self, batch: pa.RecordBatch, num_blob_bytes: int, cells: Mapping[str, int]) -> None:
        """Append one record batch."""
        offset, message = self.position, batch.serialize()
        self._write(message)
        crc32 = zlib.crc32(message)  # pyright: ignore[reportArgumentType]  # a Buffer has the buffer protocol
        self._batches.append(
            BatchEntry(offset, self.position - offset, batch.num_rows, crc32, num_blob_bytes, dict(cells))
        )

    def finish(self) -> StagedFile:
        """End the stream, make it durable, close it."""
        self._write(END_OF_STREAM)
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self.close()
        rows = sum(batch.rows for batch in self._batches)
        return StagedFile(self.path, rows, self.position, self._hash.hexdigest(), tuple(self._batches))

    def close(self) -> None:
        """Close the file without ending the stream."""
        self._handle.close()

    def _write(self, data: "pa.Buffer | bytes") -> None:
        view = memoryview(data)  # pyright: ignore[reportArgumentType]  # a Buffer has the buffer protocol
        self._handle.write(view)
        self._hash.update(view)
        self.position += len(view)


class ShardSet:
    """Rows of one partition, streamed into as many shards as they need; at most one batch is in memory."""

    def __init__(self, folder: Path, prefix: str, schema: pa.Schema, limits: Limits = LIMITS) -> None:
        self._folder = folder
        self._prefix = prefix
        self._schema = schema
        self._limits = limits
        self._rows: list[Mapping[str, Any]] = []
        self._pieces: list[pa.RecordBatch] = []
        self._num_rows = self._bytes = self._blob_bytes = 0
        self._cells: Counter[str] = Counter()
        self._is_tagged = "organ_system" in schema.names
        self._stream: StreamFile | None = None
        self._finished: list[StagedFile] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row. Raises CorpusError where it alone passes the cap of a batch."""
        size = row_bytes(row)
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
        self._pieces.append(batch_of(self._rows, self._schema))
        self._blob_bytes += sum(map(blob_bytes, self._rows))
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
        self._stream.write(joined(self._pieces), self._blob_bytes, self._cells)
        self._pieces, self._cells = [], Counter()
        self._num_rows = self._bytes = self._blob_bytes = 0
        if self._stream.position >= self._limits.shard_bytes:
            self._end_shard()

    def _end_shard(self) -> None:
        if self._stream is not None:
            self._finished.append(self._stream.finish())
            self._stream = None
