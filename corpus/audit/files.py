"""What must be true of every committed file: its name, its bytes, its batches and its rows."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa

from corpus.audit.rows import row_problems
from corpus.audit.streams import Stream
from corpus.commit.entries import BatchEntry, CommitEntry, FileEntry
from corpus.compute import pc
from corpus.layout import cell, data_folder, reject_path, shard_name
from corpus.manifest.tables import KEY_COLUMNS, SAMPLE_COLUMNS
from corpus.store.files import Files
from schemas.arrow import REJECT_SCHEMA, SAMPLE_SCHEMA

Tables = Mapping[str, pa.Table]
"""The rows of a file as the snapshot's tables "samples" and "keys" have them."""
Looked = Collection[int] | None
"""The batches of a file to look at, by number; None: every byte of it."""


def data_problems(
    files: Files, entry: CommitEntry, file: FileEntry, looked: Looked = None, tables: Tables | None = None
) -> Iterator[str]:
    """All that is wrong with one data file; tables that are None are not compared with it."""
    folder = data_folder(entry.flow, file.license_class, file.modality)
    expected = f"{folder}/{shard_name(file.split, entry.task, file.xxh3_128)}"
    if file.path != expected:
        yield f"its name should be {expected}"
    stream = Stream(files, file, SAMPLE_SCHEMA, looked)
    for place, first, batch in stream.batches():
        yield from _batch_problems(place, batch)
        yield from _table_problems(first, batch, tables)
        yield from row_problems(batch, entry, file)
    yield from stream.problems


def reject_problems(files: Files, entry: CommitEntry, file: FileEntry, looked: Looked = None) -> Iterator[str]:
    """All that is wrong with one file of rejects."""
    expected = reject_path(entry.flow, entry.task, file.xxh3_128)
    if file.path != expected:
        yield f"its name should be {expected}"
    stream = Stream(files, file, REJECT_SCHEMA, looked)
    counts: Counter[str] = Counter()
    for _, _, rows in stream.batches():
        counts.update(map(str, rows.column("reason").to_pylist()))
        for column, value in (("task", entry.task), ("source", entry.source), ("flow", entry.flow)):
            if set(rows.column(column).to_pylist()) != {value}:
                yield f"column {column} says other than {value!r}"
    yield from stream.problems
    tallied: Counter[str] = Counter()
    for tally in entry.tallies:
        tallied.update(tally.rejected)
    if looked is None and not stream.problems and +tallied != counts:
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


def _batch_problems(place: BatchEntry, batch: pa.RecordBatch) -> Iterator[str]:
    tags = zip(*(batch.column(name).to_pylist() for name in ("organ_system", "scope", "modality")), strict=True)
    counted = Counter(cell(organ, scope, modality) for organ, scope, modality in tags)
    if counted != Counter(place.cells):
        yield f"a batch holds {dict(counted)} and {dict(place.cells)} were committed"
    blobs = pc.struct_field(pc.list_flatten(batch.column("images")), "bytes")
    num_bytes = pc.sum(pc.binary_length(blobs)).as_py() or 0
    if num_bytes != place.blob_bytes:
        yield f"a batch holds {num_bytes:,} bytes of images and {place.blob_bytes:,} were committed"


def _table_problems(first: int, batch: pa.RecordBatch, tables: Tables | None) -> Iterator[str]:
    """Columns of the snapshot's tables that say other than the rows: a filter would pick wrong ones."""
    if tables is None:
        return
    for kind, names in (("samples", SAMPLE_COLUMNS), ("keys", KEY_COLUMNS)):
        said = tables[kind].slice(first, batch.num_rows)
        for name in names:
            if not said.column(name).equals(pa.chunked_array([batch.column(name)])):
                yield f"the snapshot's table of {kind} says other than its rows in column {name}"
