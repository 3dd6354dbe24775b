"""Shape `table-files`: rows of Parquet, CSV, TSV or JSON files, with pictures in the rows or in files beside them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from schemas.errors import SourceError
from schemas.record import Record, Reject, SourceShard
from sources.entry import Shape, Split
from sources.files import root
from sources.shapes.formats import num_rows, read_rows
from sources.shapes.row_by_row import RowByRow


class TableFiles(RowByRow):
    """One row, one record, over all of the entry's files in their order."""

    shape: ClassVar[Shape] = "table-files"
    unit: ClassVar[str] = "rows"

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the rows in the range; files without one of them are counted and not read."""
        files = self._files()
        counts = [num_rows(path) for path in files]
        total = sum(counts)
        if total != self._entry.records:
            raise SourceError(
                f"source {self.id!r}: its entry says {self._entry.records} records, its {len(files)} files have "
                f"{total} rows; correct 'records', or get the revision that the entry pins"
            )
        wanted = range(*slice(start, stop).indices(total))
        first = 0
        for (path, split), count in zip(files.items(), counts, strict=True):
            begin, end = max(wanted.start, first), min(wanted.stop, first + count)
            if begin < end:
                for position, row in enumerate(read_rows(path, begin - first, end - first), begin):
                    yield self.record(row, f"row-{position + 1}", split)
            first += count

    def _files(self) -> dict[Path, Split | None]:
        """Every file, by name within its pattern, with the publisher's split of it."""
        file, folder = self.columns.file, root(self._entry)
        found: dict[Path, Split | None] = {}
        for split, pattern in _patterns(file):
            paths = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
            if not paths:
                raise SourceError(f"source {self.id!r}: file {pattern!r} is missing; expected below {folder}")
            for path in paths:
                found.setdefault(path, split)
        return found


def _patterns(file: str | tuple[str, ...] | Mapping[Split, str]) -> list[tuple[Split | None, str]]:
    if isinstance(file, Mapping):
        return [(split, pattern) for split, pattern in file.items()]
    return [(None, pattern) for pattern in ((file,) if isinstance(file, str) else file)]
