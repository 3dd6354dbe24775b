"""What the shapes of tables share: one row, one record, by the entry's column names."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from schemas.errors import SourceError
from schemas.record import Facts, Media, Record, Reject
from sources.base import Refusal, reject
from sources.entry import Columns, Entry, Split
from sources.files import locate_optional, origin, sha256
from sources.shapes import rows
from sources.shapes.adapter import Adapter, record_of
from sources.shapes.questions import question
from sources.shapes.rows import Row


class RowByRow(Adapter):
    """An adapter whose `[columns]` say what each row holds.

    A benchmark's rows are taken as they are: nothing of them reaches a teacher or a row of the corpus, and
    one that is left out could not be recognized.
    """

    @property
    def columns(self) -> Columns:
        """The entry's columns."""
        if self._entry.columns is None:
            raise SourceError(f"source {self.id!r}: its entry has no [columns] table")
        return self._entry.columns

    def record(self, row: Row, fallback: str, split: Split | None = None) -> Record | Reject:
        """The record of a row, or the Reject that stands in its place; `fallback` is its id where it has none."""
        columns = self.columns
        id_ = rows.text(row, columns.id, columns) or fallback
        try:
            return self._read(row, id_, split)
        except Refusal as refusal:
            return reject(id_, refusal)

    def _read(self, row: Row, id_: str, split: Split | None) -> Record:
        columns, entry = self.columns, self._entry
        facts = rows.facts(row, columns, question(row, columns, lenient=entry.never_train))
        if not entry.never_train:
            _check_privacy(facts)
        media = tuple(self._media(row, id_))
        record = record_of(
            entry,
            id=id_,
            group_id=_group(row, columns) or (media[0].sha256[:16] if media else id_),
            media=media,
            facts=facts,
            hints=rows.hints(row, facts, columns, entry.tags, lenient=entry.never_train),
        )
        own = rows.split(row, columns) or split
        language = rows.text(row, columns.language, columns) or entry.language
        return replace(record, language=language, split=own if entry.splits == "publisher" else None)

    def _media(self, row: Row, id_: str) -> Iterator[Media]:
        """Pictures, then the video, in the row's order."""
        from sources.render import encode, video

        columns, side = self.columns, self._entry.max_side
        for number, value in enumerate(_pictures(row, columns)):
            data, where = _picture(self._entry, columns, value, f"{id_}#{number}")
            pixels = encode.decode(data)
            if not self._entry.never_train:
                encode.check_content(pixels)
            yield Media("image", (encode.encode(pixels, side, "image/jpeg"),), sha256(data), where)
        name = rows.text(row, columns.video, columns)
        if name:
            path = locate_optional(self._entry, name)
            pictures, times = video.read_video(path, self._entry.max_frames, side)
            frames = tuple(encode.encode(picture, side, "image/jpeg") for picture in pictures)
            digest = sha256(path.read_bytes())
            yield Media("video", frames, digest, origin(self._entry, name), times=tuple(times))


def _group(row: Row, columns: Columns) -> str:
    """What the group column names; empty where it names none."""
    named = rows.text(row, columns.group, columns)
    if not columns.group_match:
        return named
    match = re.search(columns.group_match, named)
    return match[1] if match else ""


def _pictures(row: Row, columns: Columns) -> Iterator[Any]:
    """Every picture's value, over all columns that hold some; nulls and placeholders are none."""
    names = (columns.images,) if isinstance(columns.images, str) else columns.images or ()
    for name in names:
        value = rows.value_of(row, name)
        for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
            if one is not None and str(one).strip() not in ("", *columns.placeholders):
                yield one


def _picture(entry: Entry, columns: Columns, value: Any, inside: str) -> tuple[bytes, str]:
    """A picture's bytes and where they come from: the row itself (bytes, base64), else a file."""
    if isinstance(value, dict):
        said = cast("dict[str, Any]", value)
        if said.get("bytes") is not None:
            return bytes(said["bytes"]), f"{entry.id}:{said.get('path') or inside}"
        value = said.get("path") or ""
    if columns.image_encoding == "base64":
        try:
            return base64.b64decode(str(value), validate=True), f"{entry.id}:{inside}"
        except (binascii.Error, ValueError):
            raise Refusal("undecodable", "not base64") from None
    name = str(value).strip()
    name = f"{columns.image_folder}/{name}" if columns.image_folder else name
    return locate_optional(entry, name).read_bytes(), origin(entry, name)


def _check_privacy(facts: Facts) -> None:
    """Refuse a row whose free text holds PHI patterns."""
    from sources.privacy import check_text

    asked = facts.question
    parts = [facts.caption, facts.report, *facts.labels, *facts.metadata.values()]
    parts += [text for _, text in facts.conversation]
    parts += [asked.stem, asked.gold, asked.explanation, *asked.options] if asked else []
    for part in parts:
        check_text(part)
