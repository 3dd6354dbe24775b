"""Every record batch of a snapshot in table order: which file, which bytes, which rows."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import pyarrow as pa

from corpus.commit.entries import BatchEntry
from corpus.commit.opening import open_batch
from corpus.manifest.snapshot import Snapshot
from corpus.manifest.tables import read_table

COLUMNS = ("offset", "length", "rows", "crc32", "blob_bytes")


@dataclass(frozen=True)
class Places:
    """The batches of a snapshot, numbered from 0 over all pieces; rows too.

    Columns are plain lists, one entry per file or per batch.
    """

    snapshot: Snapshot

    @cached_property
    def file_columns(self) -> Mapping[str, list[Any]]:
        """Each column of the files tables, over all pieces."""
        tables = [read_table(self.snapshot.files, piece.tables["files"]) for piece in self.snapshot.pieces]
        return pa.concat_tables(tables).to_pydict() if tables else {"path": [], "rows": [], "num_batches": []}

    @cached_property
    def batch_columns(self) -> Mapping[str, list[int]]:
        """`offset`, `length`, `rows`, `crc32`, `blob_bytes` of every batch."""
        tables = [read_table(self.snapshot.files, piece.tables["batches"], COLUMNS) for piece in self.snapshot.pieces]
        return pa.concat_tables(tables).to_pydict() if tables else {name: [] for name in COLUMNS}

    @cached_property
    def paths(self) -> list[str]:
        """The file of every batch."""
        files = self.file_columns
        return list(
            chain.from_iterable([path] * n for path, n in zip(files["path"], files["num_batches"], strict=True))
        )

    @cached_property
    def file_first_batch(self) -> list[int]:
        """The first batch of every file, and the number of batches."""
        return list(accumulate(self.file_columns["num_batches"], initial=0))

    @cached_property
    def first_row(self) -> list[int]:
        """The snapshot's row number of every batch's first row, and the number of rows."""
        return list(accumulate(self.batch_columns["rows"], initial=0))

    def __len__(self) -> int:
        return sum(piece.num_batches for piece in self.snapshot.pieces)

    def file_of(self, batch: int) -> int:
        """The number of the file that holds a batch."""
        return bisect_right(self.file_first_batch, batch) - 1

    def batch_of(self, row: int) -> tuple[int, int]:
        """The batch that holds a row of the snapshot, and the row's number in it."""
        batch = bisect_right(self.first_row, row) - 1
        return batch, row - self.first_row[batch]

    def entry(self, batch: int) -> BatchEntry:
        """Where a batch is; its cells are left out."""
        columns = self.batch_columns
        return BatchEntry(**{name: columns[name][batch] for name in COLUMNS}, cells={})

    def open(self, batch: int) -> pa.RecordBatch:
        """A batch's rows, all columns. Raises CorpusError as `corpus.commit.opening.open_batch` does."""
        version = self.file_columns["schema_version"][self.file_of(batch)]
        return open_batch(self.snapshot.files, self.paths[batch], version, self.entry(batch))
