"""Shape `jsonl`: JSON lines, with pictures or videos in files beside them."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from schemas.errors import SourceError
from schemas.record import Facts, Media, Record, Reject, SourceShard
from sources.base import Refusal, reject
from sources.entry import Columns, Shape
from sources.files import locate, locate_optional, origin, sha256
from sources.shapes import rows
from sources.shapes.adapter import Adapter

Row = Mapping[str, Any]


class Jsonl(Adapter):
    """One line, one record; the entry's `[columns]` say which key is what."""

    shape: ClassVar[Shape] = "jsonl"
    unit: ClassVar[str] = "lines"

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the lines in the range; the file is indexed once, other lines are not parsed."""
        columns = self._columns()
        path = locate(self._entry, columns.file)
        offsets = line_offsets(path, path.stat().st_mtime_ns)
        if len(offsets) != self._entry.records:
            raise SourceError(
                f"source {self.id!r}: its entry says {self._entry.records} records, {columns.file} has "
                f"{len(offsets)} lines; correct 'records', or get the revision that the entry pins"
            )
        with path.open("rb") as file:
            for position in range(*slice(start, stop).indices(len(offsets))):
                file.seek(offsets[position])
                yield self._record(file.readline(), position, columns)

    def _columns(self) -> Columns:
        if self._entry.columns is None:
            raise SourceError(f"source {self.id!r}: its entry has no [columns] table")
        return self._entry.columns

    def _record(self, line: bytes, position: int, columns: Columns) -> Record | Reject:
        fallback = f"line-{position + 1}"
        try:
            row = _parse(line)
        except Refusal as refusal:
            return reject(fallback, refusal)
        id_ = rows.text(row, columns.id, columns) or fallback
        try:
            return self._read(row, id_, columns)
        except Refusal as refusal:
            return reject(id_, refusal)

    def _read(self, row: Row, id_: str, columns: Columns) -> Record:
        facts = rows.facts(row, columns)
        _check_privacy(facts)
        return Record(
            id=id_,
            source=self.id,
            source_revision=self.revision,
            group_id=rows.text(row, columns.group, columns) or id_,
            terms=self._terms,
            media=tuple(self._media(row, columns)),
            facts=facts,
            hints=rows.hints(row, facts, columns, self._entry.tags),
            language=rows.text(row, columns.language, columns) or self._entry.language,
            domain=self._entry.domain,
            split=rows.split(row, columns),
        )

    def _media(self, row: Row, columns: Columns) -> Iterator[Media]:
        """Pictures, then the video, in the row's order."""
        from sources.render import encode, video

        side = self._entry.max_side
        for name in rows.texts(row, columns.images, columns):
            data = locate_optional(self._entry, name).read_bytes()
            pixels = encode.decode(data)
            encode.check_content(pixels)
            frame = encode.encode(pixels, side, "image/jpeg")
            yield Media("image", (frame,), sha256(data), origin(self._entry, name))
        name = rows.text(row, columns.video, columns)
        if name:
            path = locate_optional(self._entry, name)
            pictures, times = video.read_video(path, self._entry.max_frames, side)
            frames = tuple(encode.encode(picture, side, "image/jpeg") for picture in pictures)
            digest = sha256(path.read_bytes())
            yield Media("video", frames, digest, origin(self._entry, name), times=tuple(times))


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


def _check_privacy(facts: Facts) -> None:
    """Refuse a row whose free text holds PHI patterns."""
    from sources.privacy import check_text

    question = facts.question
    parts = [facts.caption, facts.report, *facts.labels, *facts.metadata.values()]
    parts += [text for _, text in facts.conversation]
    parts += [question.stem, question.gold, question.explanation, *question.options] if question else []
    for part in parts:
        check_text(part)
