"""Opening record batches by their place: one range of bytes each, checked when it is first touched."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import json
from functools import lru_cache
from typing import Protocol

import pyarrow as pa

from corpus.store.files import Files, checked
from schemas.arrow import ADDED_IN, SAMPLE_SCHEMA, SCHEMA_VERSION
from schemas.errors import CorpusError


class BatchPlace(Protocol):
    """Where a record batch is in its file, and what its bytes must be (`corpus.commit.entries.BatchEntry`)."""

    @property
    def offset(self) -> int:
        """The first byte of its message in the file."""
        ...

    @property
    def length(self) -> int:
        """The bytes of its message."""
        ...

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        ...

    @property
    def crc32(self) -> int:
        """zlib's checksum of those bytes."""
        ...


def open_batch(
    files: Files, path: str, schema_version: int, place: BatchPlace, schema: pa.Schema = SAMPLE_SCHEMA
) -> pa.RecordBatch:
    """One record batch of a shard, zero-copy on a local disk, with the columns of this version's schema.

    A column that a later version than the shard's added is null. Raises CorpusError, naming file and byte,
    where the shard is missing, cut, changed or of a version that this one cannot read.
    """
    if schema_version == SCHEMA_VERSION:
        return _open(files, path, place, schema)
    if not 1 <= schema_version < SCHEMA_VERSION:
        raise CorpusError(
            f"shard {files.url}/{path} has schema version {schema_version}, and this reader knows 1 to "
            f"{SCHEMA_VERSION}: read it with the version of calabash that wrote it, or a newer one"
        )
    rows = _open(files, path, place, schema_of(schema_version, schema))
    return filled(rows, schema)


def _open(files: Files, path: str, place: BatchPlace, schema: pa.Schema) -> pa.RecordBatch:
    where = f"shard {files.url}/{path}"
    try:
        data = checked(files, path, place.offset, place.length, place.crc32)
    except FileNotFoundError as error:
        raise CorpusError(f"{where} is missing; restore it from a copy of the corpus") from error
    except OSError as error:
        raise CorpusError(f"{where} cannot be read at byte {place.offset:,}: {error}") from error
    except ValueError as error:
        raise CorpusError(f"{where} {error}; restore it from a copy of the corpus") from error
    try:
        rows = pa.ipc.read_record_batch(data, schema)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise CorpusError(
            f"{where} holds no record batch of this schema at byte {place.offset:,}: {error}; take the snapshot again"
        ) from error
    if rows.num_rows != place.rows:
        raise CorpusError(f"{where} holds {rows.num_rows} rows at byte {place.offset:,}, not {place.rows}")
    return rows


@lru_cache
def schema_of(version: int, schema: pa.Schema) -> pa.Schema:
    """What a schema was in an older version: without the columns that later ones added."""
    kind = json.loads((schema.metadata or {})[b"calabash"])["kind"]
    later = {name for added, names in ADDED_IN.items() if added > version for name in names.get(kind, ())}
    older = pa.schema([field for field in schema if field.name not in later])
    return older.with_metadata(schema.metadata or {})


def filled(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A record batch with the columns of a newer schema: those that it lacks are null."""
    columns = [
        rows.column(field.name) if field.name in rows.schema.names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)
