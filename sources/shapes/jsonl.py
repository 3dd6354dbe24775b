"""Shape `jsonl`: JSON lines, with pictures or videos in files beside them."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from schemas.errors import SourceError
from schemas.record import Record, Reject, SourceShard
from sources.base import Refusal, reject
from sources.entry import Shape
from sources.files import locate
from sources.shapes.row_by_row import RowByRow
from sources.shapes.rows import Row


class Jsonl(RowByRow):
    """One line, one record; the entry's `[columns]` say which key is what."""

    shape: ClassVar[Shape] = "jsonl"
    unit: ClassVar[str] = "lines"

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the lines in the range; the file is indexed once, other lines are not parsed."""
        file = str(self.columns.file)
        path = locate(self._entry, file)
        offsets = line_offsets(path, path.stat().st_mtime_ns)
        if len(offsets) != self._entry.records:
            raise SourceError(
                f"source {self.id!r}: its entry says {self._entry.records} records, {file} has "
                f"{len(offsets)} lines; correct 'records', or get the revision that the entry pins"
            )
        with path.open("rb") as lines:
            for position in range(*slice(start, stop).indices(len(offsets))):
                lines.seek(offsets[position])
                yield self._record(lines.readline(), position)

    def _record(self, line: bytes, position: int) -> Record | Reject:
        fallback = f"line-{position + 1}"
        try:
            return self.record(_parse(line), fallback)
        except Refusal as refusal:
            return reject(fallback, refusal)


@lru_cache(maxsize=8)
def line_offsets(path: Path, mtime_ns: int) -> list[int]:
    """Where each line that is not blank starts, in bytes; `mtime_ns` only names the file's version."""
    offsets: list[int] = []
    with path.open("rb") as file:
        position = 0
        for line in file:
            if line.strip():
                offsets.append(position)
            position += len(line)
    return offsets


def _parse(line: bytes) -> Row:
    try:
        row = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Refusal("broken-row", f"not JSON: {type(error).__name__}") from None
    if not isinstance(row, dict):
        raise Refusal("broken-row", "a JSON object is expected")
    return {str(key): value for key, value in row.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
