"""Cutting a snapshot's entries into pieces, so that the next snapshot writes only what changed."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.commit.entries import BatchEntry, CommitEntry, FileEntry
from corpus.commit.opening import open_batch
from corpus.layout import NAME_CHARS, PIECES
from corpus.manifest.snapshot import Piece, TableFile
from corpus.manifest.tables import (
    BATCHES_SCHEMA,
    FILES_SCHEMA,
    KEY_COLUMNS,
    KEYS_SCHEMA,
    SAMPLE_COLUMNS,
    SAMPLES_SCHEMA,
)
from corpus.store.files import Files
from corpus.store.local import make_folder, write_file
from corpus.store.writing import Store

PIECE_ENTRIES: Final = 64
"""Entries per piece, on average: about 260,000 rows, 66 pieces for 16.7M."""
MAX_PIECE_ENTRIES: Final = 256


def cut(entries: Sequence[CommitEntry]) -> Iterator[tuple[CommitEntry, ...]]:
    """Entries, in table order, as pieces: after an entry whose fingerprint says so, whatever stands around it.

    So one more entry changes one piece (content-defined chunking), and the same entries are cut alike.
    """
    piece: list[CommitEntry] = []
    for entry in entries:
        piece.append(entry)
        if int(entry.task[:8], 16) % PIECE_ENTRIES == 0 or len(piece) == MAX_PIECE_ENTRIES:
            yield tuple(piece)
            piece = []
    if piece:
        yield tuple(piece)


def make_pieces(store: Store, entries: Sequence[CommitEntry], known: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces of a snapshot; those of `known` that hold the same entries are used again.

    Raises CorpusError where a committed shard is broken, OSError where nothing can be written.
    """
    by_commits = {piece.commits: piece for piece in known}
    pieces: list[Piece] = []
    for run in cut(entries):
        commits = tuple((entry.flow, entry.task) for entry in run)
        pieces.append(by_commits.get(commits) or _make(store, run, commits))
    return tuple(pieces)


def data_files(entries: Iterable[CommitEntry]) -> list[tuple[CommitEntry, FileEntry]]:
    """The data files of entries, in table order."""
    return [(entry, file) for entry in entries for file in entry.files]


def tables_of(files: Files, entries: Sequence[CommitEntry]) -> dict[str, pa.Table]:
    """The four tables of a piece; shards are mapped, their blobs are not touched."""
    shards = data_files(entries)
    samples = [_columns(files, file) for _, file in shards]
    batches = [_batch_row(index, batch) for index, (_, file) in enumerate(shards) for batch in file.batches]
    return {
        "files": pa.Table.from_pylist([_file_row(*pair) for pair in shards], schema=FILES_SCHEMA),
        "batches": pa.Table.from_pylist(batches, schema=BATCHES_SCHEMA),
        "samples": pa.concat_tables([SAMPLES_SCHEMA.empty_table(), *(table for table, _ in samples)]),
        "keys": pa.concat_tables([KEYS_SCHEMA.empty_table(), *(table for _, table in samples)]),
    }


def write_table(store: Store, folder: str, kind: str, table: pa.Table) -> TableFile:
    """Write a table under a name that says its content, in one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=max(table.num_rows, 1))
    data = sink.getvalue().to_pybytes()
    path = f"{folder}/{kind}-{hashlib.sha256(data).hexdigest()[:NAME_CHARS]}.parquet"
    make_folder(store.scratch)
    staged = store.scratch / f"table-{uuid.uuid4().hex}"
    try:
        write_file(staged, data)
        store.publish(staged, path)
    finally:
        staged.unlink(missing_ok=True)
    return TableFile(path, len(data), table.num_rows, zlib.crc32(data))


def _make(store: Store, entries: Sequence[CommitEntry], commits: tuple[tuple[str, str], ...]) -> Piece:
    tables = tables_of(store, entries)
    cells: Counter[str] = Counter()
    for _, file in data_files(entries):
        for batch in file.batches:
            cells.update(batch.cells)
    return Piece(
        commits=commits,
        num_files=tables["files"].num_rows,
        num_batches=tables["batches"].num_rows,
        num_rows=tables["samples"].num_rows,
        cells=dict(sorted(cells.items())),
        tables={kind: write_table(store, PIECES, kind, table) for kind, table in tables.items()},
    )


def _columns(files: Files, file: FileEntry) -> tuple[pa.Table, pa.Table]:
    """One file's part of the samples and of the keys."""
    batches = [open_batch(files, file.path, file.schema_version, batch) for batch in file.batches]
    samples = [batch.select(list(SAMPLE_COLUMNS)) for batch in batches]
    keys = [batch.select(list(KEY_COLUMNS)) for batch in batches]
    return (
        pa.Table.from_batches(samples).replace_schema_metadata(None),
        pa.Table.from_batches(keys).replace_schema_metadata(None),
    )


def _file_row(entry: CommitEntry, file: FileEntry) -> Mapping[str, Any]:
    row = {name: getattr(file, name) for name in FILES_SCHEMA.names if hasattr(file, name)}
    return {**row, "flow": entry.flow, "source": entry.source, "entry": entry.task, "num_batches": len(file.batches)}


def _batch_row(file: int, batch: BatchEntry) -> Mapping[str, Any]:
    return {
        "file": file,
        "offset": batch.offset,
        "length": batch.length,
        "rows": batch.rows,
        "crc32": batch.crc32,
        "blob_bytes": batch.blob_bytes,
        "cells": list(batch.cells.items()),
    }
