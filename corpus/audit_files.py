"""What must be true of every committed file: its name, its bytes, its batches and its rows."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from corpus.audit_rows import RowChecks
from corpus.entries import CommitEntry, FileEntry
from corpus.layout import cell, data_folder, reject_path, shard_name
from corpus.mapped import map_file, read_batch
from corpus.shards import END_OF_STREAM, blob_bytes
from corpus.tables import sample_table
from schemas.arrow import REJECT_SCHEMA, SAMPLE_SCHEMA


def data_problems(root: Path, entry: CommitEntry, file: FileEntry, rows: RowChecks) -> Iterator[str]:
    """All that is wrong with one data file. Raises CorpusError where it cannot be read at all."""
    folder = data_folder(entry.flow, file.license_class, file.modality)
    expected = f"{folder}/{shard_name(file.split, entry.task, file.xxh3_128)}"
    if file.path != expected:
        yield f"its name should be {expected}"
    buffer = map_file(root, file, SAMPLE_SCHEMA)
    broken = list(_byte_problems(file, buffer, SAMPLE_SCHEMA))
    yield from broken
    if broken:
        return
    for batch in file.batches:
        found = read_batch(root, file, buffer, batch, SAMPLE_SCHEMA).to_pylist()
        yield from _batch_problems(batch.cells, batch.blob_bytes, found)
        for row in found:
            yield from rows.problems(row, entry, file)


def reject_problems(root: Path, entry: CommitEntry, file: FileEntry) -> Iterator[str]:
    """All that is wrong with one file of rejects. Raises CorpusError where it cannot be read at all."""
    expected = reject_path(entry.flow, entry.task, file.xxh3_128)
    if file.path != expected:
        yield f"its name should be {expected}"
    buffer = map_file(root, file, REJECT_SCHEMA)
    broken = list(_byte_problems(file, buffer, REJECT_SCHEMA))
    yield from broken
    if broken:
        return
    counts: Counter[str] = Counter()
    for batch in file.batches:
        rows = read_batch(root, file, buffer, batch, REJECT_SCHEMA)
        counts.update(map(str, rows.column("reason").to_pylist()))
        for column, value in (("task", entry.task), ("source", entry.source), ("flow", entry.flow)):
            if set(rows.column(column).to_pylist()) != {value}:
                yield f"column {column} says other than {value!r}"
    tallied: Counter[str] = Counter()
    for tally in entry.tallies:
        tallied.update(tally.rejected)
    if +tallied != counts:
        yield f"it holds {dict(counts)} by reason and its task counted {dict(tallied)}"


def entry_problems(entry: CommitEntry) -> Iterator[str]:
    """Counts of a commit entry that disagree with each other."""
    kept = {f"{tally.organ}|{tally.modality}": 0 for tally in entry.tallies}
    for tally in entry.tallies:
        kept[f"{tally.organ}|{tally.modality}"] += tally.num_kept
    cells: Counter[str] = Counter()
    for file in entry.files:
        for batch in file.batches:
            cells.update(batch.cells)
    for name in sorted({*kept, *cells}):
        if kept.get(name, 0) != cells[name]:
            yield f"{name}: its tallies kept {kept.get(name, 0)} and its files hold {cells[name]} rows"
    num_rejected = sum(sum(tally.rejected.values()) for tally in entry.tallies)
    num_rejects = entry.rejects.rows if entry.rejects else 0
    if num_rejected != num_rejects:
        yield f"its tallies rejected {num_rejected} and its rejects hold {num_rejects} rows"


def sample_problems(root: Path, samples: Path, index: int, file: FileEntry) -> Iterator[str]:
    """Whether a file's part of `samples.parquet` (one row group per file) says what the file says."""
    with pq.ParquetFile(samples) as table:
        found = table.read_row_group(index) if index < table.num_row_groups else None
    if found is None or not found.equals(sample_table(root, index, file)):
        yield f"{samples.name} of the snapshot says otherwise about its rows"


def _byte_problems(file: FileEntry, buffer: pa.Buffer, schema: pa.Schema) -> Iterator[str]:
    """Bytes that are not those committed, and offsets that do not tile the file."""
    digest = xxhash.xxh3_128_hexdigest(memoryview(buffer))  # pyright: ignore[reportArgumentType]  # it has the buffer protocol
    if digest != file.xxh3_128:
        yield (
            f"its bytes changed: xxh3-128 is {digest} and {file.xxh3_128} was committed; "
            "restore it from a copy of the corpus"
        )
        return
    offset = schema.serialize().size
    for number, batch in enumerate(file.batches):
        if batch.offset != offset:
            yield f"batch {number} starts at byte {batch.offset:,}, where {offset:,} is next"
        offset = batch.offset + batch.length
    if offset + len(END_OF_STREAM) != file.bytes:
        yield f"its batches end at byte {offset:,} of {file.bytes:,}"
    if sum(batch.rows for batch in file.batches) != file.rows:
        yield f"its batches do not add up to the {file.rows} rows that were committed"


def _batch_problems(cells: Mapping[str, int], num_bytes: int, rows: list[dict[str, Any]]) -> Iterator[str]:
    counted = Counter(cell(row["organ_system"], row["scope"], row["modality"]) for row in rows)
    if counted != Counter(cells):
        yield f"a batch holds {dict(counted)} and {dict(cells)} were committed"
    if sum(map(blob_bytes, rows)) != num_bytes:
        yield f"a batch holds {sum(map(blob_bytes, rows)):,} bytes of images and {num_bytes:,} were committed"
