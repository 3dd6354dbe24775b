"""What must be true of every row of a snapshot, alone and beside the others."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import xxhash

from corpus.entries import CommitEntry, FileEntry
from corpus.layout import NO_MODALITY
from schemas.sample import content_sha256
from schemas.taxonomy import Modality, OrganSystem, Scope

GRADES: Final = ("demo", "production")


def place_problems(row: Mapping[str, Any], entry: CommitEntry, file: FileEntry) -> Iterator[str]:
    """Columns that must say what the row's file and task say."""
    wanted = {
        "flow": entry.flow,
        "source": entry.source,
        "split": file.split,
        "license_class": file.license_class,
        "modality": None if file.modality == NO_MODALITY else file.modality,
    }
    for column, value in wanted.items():
        if row[column] != value:
            yield f"{column} is {row[column]!r} in a file of {value!r}"
    if row["grade"] not in GRADES:
        yield f"grade is {row['grade']!r}, not one of {', '.join(GRADES)}"


def tag_problems(row: Mapping[str, Any]) -> Iterator[str]:
    """Tags outside the taxonomy, and an organ system beside a scope that has none."""
    modality, organ, scope = row["modality"], row["organ_system"], row["scope"]
    if modality is not None and modality not in tuple(Modality):
        yield f"modality {modality!r} is not in the taxonomy"
    for name in [*filter(None, [organ]), *(row["organ_systems_also"] or ())]:
        if name not in tuple(OrganSystem):
            yield f"organ system {name!r} is not in the taxonomy"
    if scope not in tuple(Scope):
        yield f"scope {scope!r} is not in the taxonomy"
    elif (scope == Scope.ORGAN) != (organ is not None):
        yield f"organ_system is {organ!r} with scope {scope!r}; only scope 'organ' has one"


def content_problems(row: Mapping[str, Any]) -> Iterator[str]:
    """Images that messages or media do not account for, and a content hash of other content."""
    images: Sequence[Mapping[str, Any]] = row["images"]
    parts = [part["type"] for message in row["messages"] for part in message["content"]]
    if parts.count("image") != len(images):
        yield f"messages show {parts.count('image')} images and the row holds {len(images)}"
    if row["num_frames"] != len(images):
        yield f"num_frames is {row['num_frames']} and the row holds {len(images)} images"
    covered = 0
    for medium in row["media"]:
        if medium["first"] != covered or medium["count"] < 1:
            yield f"media: image {covered} is next, not {medium['count']} images from {medium['first']}"
            return
        covered += medium["count"]
    if covered != len(images):
        yield f"media cover {covered} images and the row holds {len(images)}"
    hashes = tuple(hashlib.sha256(image["bytes"] or b"").hexdigest() for image in images)
    if content_sha256(tuple(row["messages"]), hashes) != row["content_sha256"]:
        yield "content_sha256 is not the hash of its messages and images"


class RowChecks:
    """Remembers what has been seen of a snapshot: ids, and the split of each group (16 bytes per key)."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._splits: dict[bytes, str] = {}

    def problems(self, row: Mapping[str, Any], entry: CommitEntry, file: FileEntry) -> Iterator[str]:
        """All that is wrong with one row, each naming its id."""
        checks = (
            place_problems(row, entry, file),
            tag_problems(row),
            content_problems(row),
            self._shared(row),
        )
        for check in checks:
            for what in check:
                yield f"row {row['id']!r}: {what}"

    def _shared(self, row: Mapping[str, Any]) -> Iterator[str]:
        key = xxhash.xxh3_128_digest(f"{row['id']}".encode())
        if key in self._ids:
            yield "the snapshot holds this id twice"
        self._ids.add(key)
        group = xxhash.xxh3_128_digest(f"{row['source']}\x00{row['group_id']}".encode())
        first = self._splits.setdefault(group, row["split"])
        if first != row["split"]:
            who = f"group {row['group_id']!r} of source {row['source']!r}"
            yield f"{who} is in split {first!r} and here in {row['split']!r}"
