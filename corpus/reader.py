"""Reading a snapshot: filter by tags without touching a blob, then iterate, look up or convert."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import difflib
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.entries import CommitEntry, FileEntry
from corpus.filters import Asked, Filters, expression, values_of
from corpus.mapped import map_file, read_batch
from corpus.snapshot import Snapshot
from corpus.tables import PLACE_COLUMNS, SAMPLES, SAMPLES_SCHEMA, read_files
from schemas.arrow import REJECT_SCHEMA, SAMPLE_SCHEMA
from schemas.errors import CorpusError

if TYPE_CHECKING:
    import datasets
    import pandas as pd

NUM_NEAREST = 3
"""How many ids an error about an unknown one names."""


def runs(rows: list[int]) -> list[tuple[int, int]]:
    """Ascending row numbers as (first, count) of their unbroken runs."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and row == sum(found[-1]):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((row, 1))
    return found


def pick(batch: pa.RecordBatch, rows: list[int]) -> pa.RecordBatch:
    """Some rows of a batch: a view where they follow each other, a copy where they are scattered."""
    spans = runs(rows)
    return batch.slice(*spans[0]) if len(spans) == 1 else batch.take(pa.array(rows, pa.int32()))


class Corpus:
    """The rows of one snapshot that pass some filters. Nothing changes it; `filter` makes another.

    Reading raises CorpusError where a shard is missing, cut or of another schema. A flipped bit is
    what `corpus.audit.verify` finds.
    """

    def __init__(self, snapshot: Snapshot, *, demo: bool = False, filters: Filters | None = None) -> None:
        self.snapshot = snapshot
        self.demo = demo
        self.filters: Filters = filters or {}

    def filter(
        self,
        *,
        flow: Asked = ...,
        source: Asked = ...,
        task: Asked = ...,
        split: Asked = ...,
        language: Asked = ...,
        modality: Asked = ...,
        organ_system: Asked = ...,
        license_class: Asked = ...,
    ) -> "Corpus":
        """The rows whose columns have these values; several values of one column mean any of them.

        `modality="text"` (or None) is rows without media; `organ_system` also takes the scopes
        "Multi-System" and "Whole Body". Filters add up over calls. Raises CorpusError for a value
        that no row can have.
        """
        wanted: Mapping[str, Asked] = {
            "flow": flow,
            "source": source,
            "task": task,
            "split": split,
            "language": language,
            "modality": modality,
            "organ_system": organ_system,
            "license_class": license_class,
        }
        added = {column: values_of(column, value) for column, value in wanted.items() if value is not ...}
        for column, values in self.filters.items():
            added[column] = tuple(value for value in added.get(column, values) if value in values)
        return Corpus(self.snapshot, demo=self.demo, filters=added)

    def __len__(self) -> int:
        return self._samples.num_rows

    def __repr__(self) -> str:
        return f"Corpus({str(self.snapshot.root)!r}, snapshot={self.snapshot.name!r}, rows={len(self):,})"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch, rows in self._batches():
            for row in rows:
                yield batch.slice(row, 1).to_pylist()[0]

    def row(self, id: str) -> dict[str, Any]:
        """One row as a dictionary. Raises CorpusError, with the nearest ids, where there is none."""
        found = self._samples.filter(pc.equal(self._samples.column("id"), pa.scalar(id)))
        if not found.num_rows:
            raise CorpusError(self._unknown(id))
        place = found.select(list(PLACE_COLUMNS)).to_pylist()[0]
        return self._open(place["file"], place["batch"]).slice(place["row"], 1).to_pylist()[0]

    def entry_of(self, id: str) -> CommitEntry:
        """The commit entry that a row belongs to. Raises CorpusError as `row` does."""
        found = self._samples.filter(pc.equal(self._samples.column("id"), pa.scalar(id)))
        if not found.num_rows:
            raise CorpusError(self._unknown(id))
        path = self._files[found.column("file")[0].as_py()].path
        entries = self.snapshot.read_entries()
        return next(entry for entry in entries if any(file.path == path for file in entry.files))

    def to_pandas(self) -> "pd.DataFrame":
        """Every tag, key and count of the rows, without messages and images."""
        return self._samples.drop_columns(list(PLACE_COLUMNS)).to_pandas()

    def to_arrow(self) -> pa.Table:
        """The rows with all columns; mapped from disk except where a filter picks scattered rows."""
        return pa.Table.from_batches((pick(batch, rows) for batch, rows in self._batches()), schema=SAMPLE_SCHEMA)

    def to_hf(self) -> "datasets.Dataset":
        """The rows as a `datasets.Dataset` whose images decode."""
        import datasets
        from datasets.table import InMemoryTable

        table = InMemoryTable(self.to_arrow())
        features = datasets.Features.from_arrow_schema(SAMPLE_SCHEMA)
        return datasets.Dataset(table, info=datasets.DatasetInfo(features=features))

    def rejects(self) -> pa.Table:
        """The rejects of the snapshot's tasks, of the flows and sources filtered for, whatever their tags."""
        batches: list[pa.RecordBatch] = []
        for entry in self.snapshot.read_entries():
            place = {"flow": entry.flow, "source": entry.source}
            if entry.rejects and all(place[name] in self.filters.get(name, (place[name],)) for name in place):
                buffer = map_file(self.snapshot.root, entry.rejects, REJECT_SCHEMA)
                for batch in entry.rejects.batches:
                    batches.append(read_batch(self.snapshot.root, entry.rejects, buffer, batch, REJECT_SCHEMA))
        return pa.Table.from_batches(batches, schema=REJECT_SCHEMA)

    @cached_property
    def _samples(self) -> pa.Table:
        """The samples table's rows that pass, in stored order."""
        samples = self._read_samples(self.demo)
        if not samples.num_rows and not self.demo and self._read_samples(demo=True).num_rows:
            warnings.warn(
                f"every row asked for of {self.snapshot.root} is of grade 'demo', which is left out; to "
                "include them: corpus.open(path, demo=True)",
                stacklevel=3,
            )
        return samples

    def _read_samples(self, demo: bool) -> pa.Table:
        path = self.snapshot.path / SAMPLES
        try:
            return pq.read_table(path, schema=SAMPLES_SCHEMA, filters=expression(self.filters, demo))
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(f"{path} cannot be read: {error}; open an older snapshot") from error

    @cached_property
    def _files(self) -> list[FileEntry]:
        return read_files(self.snapshot.path)

    def _open(self, file: int, batch: int) -> pa.RecordBatch:
        entry = self._files[file]
        buffer = map_file(self.snapshot.root, entry, SAMPLE_SCHEMA)
        return read_batch(self.snapshot.root, entry, buffer, entry.batches[batch], SAMPLE_SCHEMA)

    def _batches(self) -> Iterator[tuple[pa.RecordBatch, list[int]]]:
        """Every batch that holds a selected row, with the numbers of those rows; others stay unread."""
        places = self._samples.select(list(PLACE_COLUMNS))
        rows: dict[tuple[int, int], list[int]] = {}
        for file, batch, row in zip(*(places.column(name).to_pylist() for name in PLACE_COLUMNS), strict=True):
            rows.setdefault((file, batch), []).append(row)
        for (file, batch), numbers in rows.items():
            yield self._open(file, batch), numbers

    def _unknown(self, id: str) -> str:
        """What to say of an id that is not here: the nearest by longest common prefix, then by likeness."""
        ids = self._samples.column("id")
        near = ids.slice(0, 0)
        for length in range(len(id), -1, -1):
            near = ids.filter(pc.starts_with(ids, id[:length]))
            if len(near):
                break
        close = difflib.get_close_matches(id, map(str, near.slice(0, 1000).to_pylist()), n=NUM_NEAREST, cutoff=0.0)
        hint = f"the nearest: {', '.join(close)}" if close else "there are no rows"
        return f"no row {id!r} in snapshot {self.snapshot.name} of {self.snapshot.root} as filtered; {hint}"
