"""A snapshot's tables: one row per file, per record batch and per sample, as Parquet, without blobs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.entries import BatchEntry, CommitEntry, FileEntry
from corpus.mapped import map_file, read_batch
from corpus.store import sync
from schemas.arrow import SAMPLE_SCHEMA

FILES: Final = "files.parquet"
BATCHES: Final = "batches.parquet"
SAMPLES: Final = "samples.parquet"

FILES_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("xxh3_128", pa.string()),
        ("license_class", pa.string()),
        ("modality", pa.string()),
        ("split", pa.string()),
        ("flow", pa.string()),
        ("source", pa.string()),
        ("entry", pa.string()),
    ]
)
"""`entry` is the fingerprint of the task that committed the file; `modality` is "text" for null."""

BATCHES_SCHEMA: Final = pa.schema(
    [
        ("file", pa.int32()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("rows", pa.int32()),
        ("blob_bytes", pa.int64()),
        ("cells", pa.map_(pa.string(), pa.int64())),
    ]
)
"""`file` is the row of `files.parquet`, from 0; a file's batches follow each other in its order."""

SAMPLE_COLUMNS: Final = (
    "id", "flow", "task", "source", "record_id", "group_id", "split", "grade", "domain", "language",
    "modality", "organ_system", "scope", "license_class", "num_text_chars", "num_frames", "num_pixels",
    "content_sha256",
)  # fmt: skip
"""The columns of a sample that filters, mixtures and packing need."""

PLACE_COLUMNS: Final = ("file", "batch", "row")
"""Where a sample is: the row of `files.parquet`, the batch within that file, the row within that batch."""

SAMPLES_SCHEMA: Final = pa.schema(
    [SAMPLE_SCHEMA.field(name) for name in SAMPLE_COLUMNS] + [pa.field(name, pa.int32()) for name in PLACE_COLUMNS]
)


def data_files(entries: Sequence[CommitEntry]) -> list[tuple[CommitEntry, FileEntry]]:
    """The data files of a snapshot's entries, in the order of its tables."""
    return [(entry, file) for entry in entries for file in entry.files]


def write_tables(root: Path, entries: Sequence[CommitEntry], folder: Path) -> None:
    """Write the three tables into `folder`, durably; shards are mapped, their blobs are not touched."""
    files = data_files(entries)
    rows = [_file_row(entry, file) for entry, file in files]
    _write(folder / FILES, FILES_SCHEMA, iter([pa.Table.from_pylist(rows, schema=FILES_SCHEMA)]))
    batches = [_batch_row(index, batch) for index, (_, file) in enumerate(files) for batch in file.batches]
    _write(folder / BATCHES, BATCHES_SCHEMA, iter([pa.Table.from_pylist(batches, schema=BATCHES_SCHEMA)]))
    tables = (sample_table(root, index, file) for index, (_, file) in enumerate(files))
    _write(folder / SAMPLES, SAMPLES_SCHEMA, tables)


def sample_table(root: Path, index: int, file: FileEntry) -> pa.Table:
    """One file's part of `samples.parquet`."""
    buffer = map_file(root, file, SAMPLE_SCHEMA)
    parts: list[pa.RecordBatch] = []
    for number, batch in enumerate(file.batches):
        rows = read_batch(root, file, buffer, batch, SAMPLE_SCHEMA)
        columns = [rows.column(name) for name in SAMPLE_COLUMNS]
        place = (
            pa.array([index] * rows.num_rows, pa.int32()),
            pa.array([number] * rows.num_rows, pa.int32()),
            pa.array(range(rows.num_rows), pa.int32()),
        )
        parts.append(pa.record_batch([*columns, *place], schema=SAMPLES_SCHEMA))
    return pa.Table.from_batches(parts, schema=SAMPLES_SCHEMA)


def read_files(folder: Path) -> list[FileEntry]:
    """A snapshot's data files with their batches, from its tables."""
    batches: dict[int, list[BatchEntry]] = {}
    for row in pq.read_table(folder / BATCHES, schema=BATCHES_SCHEMA).to_pylist():
        cells = dict(row.pop("cells"))
        batches.setdefault(row.pop("file"), []).append(BatchEntry(**row, cells=cells))
    rows = pq.read_table(folder / FILES, schema=FILES_SCHEMA).to_pylist()
    keep = ("path", "rows", "bytes", "xxh3_128", "license_class", "modality", "split")
    return [
        FileEntry(**{name: row[name] for name in keep}, batches=tuple(batches.get(index, ())))
        for index, row in enumerate(rows)
    ]


def count_demo(folder: Path) -> int:
    """How many of a snapshot's rows are of grade `demo`."""
    grades = pq.read_table(folder / SAMPLES, columns=["grade"]).column("grade")
    return sum(chunk.to_pylist().count("demo") for chunk in grades.chunks)


def _file_row(entry: CommitEntry, file: FileEntry) -> dict[str, Any]:
    row = {name: getattr(file, name) for name in FILES_SCHEMA.names if hasattr(file, name)}
    return {**row, "flow": entry.flow, "source": entry.source, "entry": entry.task}


def _batch_row(file: int, batch: BatchEntry) -> dict[str, Any]:
    return {
        "file": file,
        "offset": batch.offset,
        "length": batch.length,
        "rows": batch.rows,
        "blob_bytes": batch.blob_bytes,
        "cells": list(batch.cells.items()),
    }


def _write(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
    sync(path)
