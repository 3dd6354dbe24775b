"""Counting a corpus's chosen rows from the samples tables, piece by piece: no shard is opened."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from corpus.compute import pc
from corpus.manifest.tables import read_table
from corpus.reader.corpus import Corpus


def samples_of(corpus: Corpus, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of the samples table for the chosen rows, one table per piece."""
    snapshot = corpus.snapshot
    for piece, mask in zip(snapshot.pieces, corpus.chosen.masks, strict=True):
        if mask is None or mask.true_count:
            table = read_table(snapshot.files, piece.tables["samples"], columns)
            yield table if mask is None else table.filter(mask)


def count(corpus: Corpus, columns: Sequence[str]) -> dict[str, Counter[str | None]]:
    """How many chosen rows have each value, by column."""
    found: dict[str, Counter[str | None]] = {name: Counter() for name in columns}
    for table in samples_of(corpus, columns):
        for name in columns:
            tally(table.column(name), found[name])
    return found


def tally(column: "pa.ChunkedArray[Any]", into: Counter[Any]) -> None:
    """Add how often each value of a column occurs."""
    for pair in pc.value_counts(column).to_pylist():
        into[pair["values"]] += pair["counts"]
