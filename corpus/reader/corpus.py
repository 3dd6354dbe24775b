"""Reading a snapshot: filter by tags without touching a blob, then iterate, look up or convert."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import difflib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from corpus.commit.entries import CommitEntry, read_named
from corpus.commit.opening import open_batch
from corpus.compute import pc
from corpus.manifest.joining import joined
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot
from corpus.manifest.tables import KEYS_SCHEMA, SAMPLES_SCHEMA, read_table
from corpus.reader.chosen import Chosen
from corpus.reader.filters import Asked, Filters, values_of
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

    def __init__(
        self, snapshot: Snapshot, *, demo: bool = False, filters: Filters | None = None, places: Places | None = None
    ) -> None:
        self.snapshot = snapshot
        self.demo = demo
        self.filters: Filters = filters or {}
        self.places = places or Places(snapshot)

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
        license: Asked = ...,
        license_class: Asked = ...,
        domain: Asked = ...,
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
            "license": license,
            "license_class": license_class,
            "domain": domain,
        }
        added = {column: values_of(column, value) for column, value in wanted.items() if value is not ...}
        for column, values in self.filters.items():
            added[column] = tuple(value for value in added.get(column, values) if value in values)
        return Corpus(self.snapshot, demo=self.demo, filters=added, places=self.places)

    def __len__(self) -> int:
        return self.chosen.num_rows

    def __repr__(self) -> str:
        return f"Corpus({self.snapshot.url!r}, snapshot={self.snapshot.name!r}, rows={len(self):,})"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches():
            for row in range(batch.num_rows):
                yield batch.slice(row, 1).to_pylist()[0]

    @cached_property
    def chosen(self) -> Chosen:
        """Which of the snapshot's rows these are."""
        chosen = Chosen(self.places, self.filters, self.demo)
        if not chosen.num_rows and not self.demo and Chosen(self.places, self.filters, demo=True).num_rows:
            warnings.warn(
                f"every row asked for of {self.snapshot.url} is of grade 'demo', which is left out; to "
                "include them: corpus.open(path, demo=True)",
                stacklevel=3,
            )
        return chosen

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as record batches with every shard column, in stored order; batches without a row stay unread."""
        for number, count in enumerate(self.chosen.counts):
            if count:
                batch, rows = self.places.open(number), self.chosen.rows(number)
                yield batch if rows is None else pick(batch, rows)

    def row(self, id: str) -> dict[str, Any]:
        """One row with its derived columns. Raises CorpusError, with the nearest ids, where there is none."""
        number = self._number_of(id)
        batch, row = self.places.batch_of(number)
        derived = {
            name: column[number].as_py()
            for one in self.snapshot.derived
            if one.kind == "column"
            for name, column in zip(one.columns, joined(self.places, one).itercolumns(), strict=True)
        }
        return {**self.places.open(batch).slice(row, 1).to_pylist()[0], **derived}

    def entry_of(self, id: str) -> CommitEntry:
        """The commit entry that a row belongs to. Raises CorpusError as `row` does."""
        file = self.places.file_of(self.places.batch_of(self._number_of(id))[0])
        columns = self.places.file_columns
        return read_named(self.snapshot.files, columns["flow"][file], columns["entry"][file])

    def samples(self) -> pa.Table:
        """Every tag, key, count and derived column of the rows, without messages and images, in stored order."""
        files, pieces = self.snapshot.files, self.snapshot.pieces
        parts: list[pa.Table] = []
        for piece, mask in zip(pieces, self.chosen.masks, strict=True):
            keys, samples = read_table(files, piece.tables["keys"]), read_table(files, piece.tables["samples"])
            table = pa.table([*keys.columns, *samples.columns], names=[*keys.column_names, *samples.column_names])
            parts.append(table if mask is None else table.filter(mask))
        empty = pa.schema([*KEYS_SCHEMA, *SAMPLES_SCHEMA]).empty_table()
        return self._with_derived(pa.concat_tables([empty, *parts]))

    def to_pandas(self) -> "pd.DataFrame":
        """`samples` as a data frame."""
        return self.samples().to_pandas()

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows with all columns or some; mapped from disk except where a filter picks scattered rows.

        Raises KeyError for a column that there is not.
        """
        table = self._with_derived(pa.Table.from_batches(self.batches(), schema=SAMPLE_SCHEMA))
        return table if columns is None else table.select(list(columns))

    def to_hf(self) -> "datasets.Dataset":
        """The rows as a `datasets.Dataset` whose images decode."""
        import datasets
        from datasets.table import InMemoryTable

        table = self.to_arrow()
        features = datasets.Features.from_arrow_schema(SAMPLE_SCHEMA)
        derived = table.schema.names[len(SAMPLE_SCHEMA.names) :]
        added = datasets.Features.from_arrow_schema(table.select(derived).schema.remove_metadata())
        return datasets.Dataset(
            InMemoryTable(table), info=datasets.DatasetInfo(features=datasets.Features({**features, **added}))
        )

    def rejects(self) -> pa.Table:
        """The rejects of the snapshot's tasks, of the flows and sources filtered for, whatever their tags."""
        batches: list[pa.RecordBatch] = []
        for entry in self.snapshot.read_entries():
            place = {"flow": entry.flow, "source": entry.source}
            if entry.rejects and all(place[name] in self.filters.get(name, (place[name],)) for name in place):
                file = entry.rejects
                for batch in file.batches:
                    batches.append(
                        open_batch(self.snapshot.files, file.path, file.schema_version, batch, REJECT_SCHEMA)
                    )
        return pa.Table.from_batches(batches, schema=REJECT_SCHEMA)

    def _with_derived(self, table: pa.Table) -> pa.Table:
        """A table of the chosen rows, with the snapshot's derived columns joined."""
        for derived in self.snapshot.derived:
            if derived.kind == "column":
                values, masks = joined(self.places, derived), self.chosen.masks
                if any(mask is not None for mask in masks):
                    sizes = [piece.num_rows for piece in self.snapshot.pieces]
                    values = values.filter(
                        pa.chunked_array(
                            [
                                pa.repeat(pa.scalar(True), size) if mask is None else mask
                                for mask, size in zip(masks, sizes, strict=True)
                            ]
                        )
                    )
                for name in derived.columns:
                    table = table.append_column(name, values.column(name))
        return table

    def _number_of(self, id: str) -> int:
        """The snapshot's row number of an id that is among these rows. Raises CorpusError where it is not."""
        first = 0
        for piece, mask in zip(self.snapshot.pieces, self.chosen.masks, strict=True):
            ids = read_table(self.snapshot.files, piece.tables["keys"], ["id"]).column("id")
            found = pc.index(ids, pa.scalar(id)).as_py()
            if found >= 0 and (mask is None or mask[found].as_py()):
                return first + found
            first += piece.num_rows
        raise CorpusError(self._unknown(id))

    def _unknown(self, id: str) -> str:
        """What to say of an id that is not here: the nearest by longest common prefix, then by likeness."""
        ids = self.samples().column("id")
        near = ids.slice(0, 0)
        for length in range(len(id), -1, -1):
            near = ids.filter(pc.starts_with(ids, id[:length]))
            if len(near):
                break
        close = difflib.get_close_matches(id, map(str, near.slice(0, 1000).to_pylist()), n=NUM_NEAREST, cutoff=0.0)
        hint = f"the nearest: {', '.join(close)}" if close else "there are no rows"
        return f"no row {id!r} in snapshot {self.snapshot.name} of {self.snapshot.url} as filtered; {hint}"
