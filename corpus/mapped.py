"""Reading Arrow stream files by offset: one mapping per file, one slice per record batch."""

from pathlib import Path

import pyarrow as pa

from corpus.entries import BatchEntry, FileEntry
from schemas.errors import CorpusError


def map_file(root: Path, file: FileEntry, schema: pa.Schema) -> pa.Buffer:
    """A committed file as one zero-copy buffer.

    Raises CorpusError where it is missing, has another size than was committed, or another schema.
    """
    path = root / file.path
    try:
        with pa.memory_map(str(path), "r") as handle:
            buffer = handle.read_buffer()
    except OSError as error:
        raise CorpusError(f"shard {path} cannot be read: {error}; restore it from a copy of the corpus") from error
    if buffer.size != file.bytes:
        raise CorpusError(
            f"shard {path} has {buffer.size:,} bytes and {file.bytes:,} were committed: it was cut or "
            "overwritten; restore it from a copy of the corpus"
        )
    _check_schema(path, buffer, schema)
    return buffer


def read_batch(root: Path, file: FileEntry, buffer: pa.Buffer, batch: BatchEntry, schema: pa.Schema) -> pa.RecordBatch:
    """One record batch of a mapped file, zero-copy. Raises CorpusError where it is no such batch."""
    try:
        rows = pa.ipc.read_record_batch(buffer.slice(batch.offset, batch.length), schema)
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"shard {root / file.path} is broken at byte {batch.offset:,}: {error}") from error
    if rows.num_rows != batch.rows:
        raise CorpusError(
            f"shard {root / file.path} holds {rows.num_rows} rows at byte {batch.offset:,} and "
            f"{batch.rows} were committed; restore it from a copy of the corpus"
        )
    return rows


def _check_schema(path: Path, buffer: pa.Buffer, schema: pa.Schema) -> None:
    try:
        with pa.ipc.open_stream(buffer) as stream:
            found = stream.schema
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"shard {path} is no Arrow stream: {error}") from error
    if not found.equals(schema, check_metadata=True):
        raise CorpusError(
            f"shard {path} has another schema than this version of Calabash writes; read it with the "
            "version that wrote it, or see corpus/README.md for the migration rule"
        )
