"""Tables as publishers store them: Parquet, CSV, TSV and JSON, counted, and read by range of rows."""

# pyright: reportUnknownMemberType=false
# (pyarrow's stubs leave type parameters open)

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from schemas.errors import SourceError
from sources.shapes.rows import Row

CHUNK_ROWS: Final = 16
"""Rows of a Parquet file that are in memory at once: each may hold several pictures."""


def num_rows(path: Path) -> int:
    """How many rows a table has. Raises SourceError for a file that is no table."""
    return _counted(path, path.stat().st_mtime_ns)


def read_rows(path: Path, start: int, stop: int) -> Iterator[Row]:
    """Rows `start` to `stop` of a table. Raises SourceError for a file that is no table."""
    read = _format(path)
    try:
        yield from read(path, start, stop)
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}; get it again") from error


@lru_cache(maxsize=256)
def _counted(path: Path, mtime_ns: int) -> int:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            return pq.read_metadata(path).num_rows
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: cannot be read: {error}; get it again") from error
    return sum(1 for _ in read_rows(path, 0, sys.maxsize))


def _format(path: Path) -> Callable[[Path, int, int], Iterator[Row]]:
    if path.suffix not in FORMATS:
        raise SourceError(f"{path}: a table ends in {', '.join(FORMATS)}; correct the entry's 'columns.file'")
    return FORMATS[path.suffix]


def _parquet(path: Path, start: int, stop: int) -> Iterator[Row]:
    """Only the row groups that the range touches are read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if first < stop and first + count > start:
                chunks = file.iter_batches(CHUNK_ROWS, row_groups=[group], use_threads=False)
                found = (row for chunk in chunks for row in chunk.to_pylist())
                yield from islice(found, max(0, start - first), stop - first)
            first += count


def _separated(delimiter: str) -> Callable[[Path, int, int], Iterator[Row]]:
    def read(path: Path, start: int, stop: int) -> Iterator[Row]:
        csv.field_size_limit(1 << 30)  # a picture in base64 passes the default of 128 KiB
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(reader, ())]
            rows = (values for values in reader if values)
            for values in islice(rows, start, stop):
                yield dict(zip(names, values, strict=False))

    return read


def _json(path: Path, start: int, stop: int) -> Iterator[Row]:
    yield from _parsed(path, path.stat().st_mtime_ns)[start:stop]


@lru_cache(maxsize=2)
def _parsed(path: Path, mtime_ns: int) -> list[Row]:
    """A JSON array's objects, or those of one per line: `.json` files hold either."""
    text = path.read_text(encoding="utf-8-sig")
    found: Any = (
        json.loads(text) if text.lstrip()[:1] == "[" else list(map(json.loads, filter(str.strip, text.split("\n"))))
    )
    if not all(isinstance(row, dict) for row in found):
        raise ValueError("a JSON array of objects is expected, or an object per line")
    return cast("list[Row]", found)


FORMATS: Final[Mapping[str, Callable[[Path, int, int], Iterator[Row]]]] = {
    ".parquet": _parquet,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".json": _json,
    ".jsonl": _json,
}
"""How a table is read, by the ending of its name."""
