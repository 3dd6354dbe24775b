"""What must be true of every row alone: its place, its tags, its images, its content hash."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from corpus.commit.entries import CommitEntry, FileEntry
from corpus.compute import pc
from corpus.layout import NO_MODALITY
from schemas.sample import content_sha256
from schemas.taxonomy import Modality, OrganSystem, Scope

GRADES: Final = ("demo", "production")
CONTENT: Final = ("messages", "images", "media", "num_frames", "content_sha256")
"""The columns that are looked at row by row; the others are checked as whole columns."""
KNOWN: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "grade": ("grade is {!r}, not one of " + ", ".join(GRADES), GRADES),
    "modality": ("modality {!r} is not in the taxonomy", tuple(Modality)),
    "organ_system": ("organ system {!r} is not in the taxonomy", tuple(OrganSystem)),
    "scope": ("scope {!r} is not in the taxonomy", tuple(Scope)),
}
"""Columns of closed values, and what is said of another value."""
NULLABLE: Final = ("modality", "organ_system")


def row_problems(batch: pa.RecordBatch, entry: CommitEntry, file: FileEntry) -> Iterator[str]:
    """All that is wrong with the rows of a batch, each problem naming its row's id; null ids too."""
    ids = batch.column("id").to_pylist()
    for check in (place_problems(batch, entry, file), tag_problems(batch), content_problems(batch)):
        for row, what in check:
            yield f"row {ids[row]!r}: {what}"
    for row in _rows(pc.is_null(batch.column("id"))):
        yield f"row {row} of its batch has no id"


def place_problems(batch: pa.RecordBatch, entry: CommitEntry, file: FileEntry) -> Iterator[tuple[int, str]]:
    """Columns that must say what the rows' file and task say: (row, what)."""
    wanted = {
        "flow": entry.flow,
        "source": entry.source,
        "split": file.split,
        "license_class": file.license_class,
        "modality": None if file.modality == NO_MODALITY else file.modality,
    }
    for column, value in wanted.items():
        found = batch.column(column)
        same = pc.is_null(found) if value is None else pc.fill_null(pc.equal(found, value), False)
        for row in _rows(pc.invert(same)):
            yield row, f"{column} is {found[row].as_py()!r} in a file of {value!r}"


def tag_problems(batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    """Values outside the taxonomy, and an organ system beside a scope that has none: (row, what)."""
    for column, (what, values) in KNOWN.items():
        found = batch.column(column)
        known = pc.is_in(found, pa.array(map(str, values), pa.string()))
        known = pc.or_(known, pc.is_null(found)) if column in NULLABLE else known
        for row in _rows(pc.invert(known)):
            yield row, what.format(found[row].as_py())
    for row, names in enumerate(batch.column("organ_systems_also").to_pylist()):
        for name in names or ():
            if name not in tuple(OrganSystem):
                yield row, f"organ system {name!r} is not in the taxonomy"
    scope, organ = batch.column("scope"), batch.column("organ_system")
    differ = pc.not_equal(pc.equal(scope, str(Scope.ORGAN)), pc.is_valid(organ))
    for row in _rows(pc.and_(differ, pc.is_in(scope, pa.array(map(str, Scope), pa.string())))):
        said = f"organ_system is {organ[row].as_py()!r} with scope {scope[row].as_py()!r}"
        yield row, f"{said}; only scope 'organ' has one"


def content_problems(batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    """Images that messages or media do not account for, and a content hash of other content: (row, what)."""
    for row, values in enumerate(batch.select(list(CONTENT)).to_pylist()):
        for what in _content(values):
            yield row, what


def _content(row: Mapping[str, Any]) -> Iterator[str]:
    images: Sequence[Mapping[str, Any]] = row["images"] or ()
    messages: Sequence[Mapping[str, Any]] = row["messages"] or ()
    num_shown = [part["type"] for message in messages for part in message["content"]].count("image")
    if num_shown != len(images):
        yield f"messages show {num_shown} images and the row holds {len(images)}"
    if row["num_frames"] != len(images):
        yield f"num_frames is {row['num_frames']} and the row holds {len(images)} images"
    covered = 0
    for medium in row["media"] or ():
        if medium["first"] != covered or (medium["count"] or 0) < 1:
            yield f"media: image {covered} is next, not {medium['count']} images from {medium['first']}"
            return
        covered += medium["count"]
    if covered != len(images):
        yield f"media cover {covered} images and the row holds {len(images)}"
    hashes = tuple(hashlib.sha256(image["bytes"] or b"").hexdigest() for image in images)
    if content_sha256(tuple(messages), hashes) != row["content_sha256"]:
        yield "content_sha256 is not the hash of its messages and images"


def _rows(bits: pa.BooleanArray) -> list[int]:
    """The rows whose bit is set."""
    return pc.indices_nonzero(bits).to_pylist()
