"""One corpus row: every column, in the order of the Arrow schema."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, Literal

Split = Literal["train", "validation", "test"]
Grade = Literal["demo", "production"]
Struct = Mapping[str, Any]

SPLIT_PER_MILLE: Final = {"train": 980, "validation": 10, "test": 10}
"""Shares of the hash split, for sources whose publisher made none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training sample with everything that says where it came from.

    Nested values are plain mappings with exactly the keys of `schemas.arrow.FEATURES`. `messages`
    and `images` follow the TRL convention: `content` is a list of parts, an image part takes the next
    entry of `images`. `media` says how images group. No clock, host or retry count enters a row.
    """

    id: str
    split: Split
    grade: Grade
    flow: str
    task: str
    domain: str
    language: str
    messages: tuple[Struct, ...]
    images: tuple[Struct, ...]
    media: tuple[Struct, ...]
    modality: str | None
    organ_system: str | None
    organ_systems_also: tuple[str, ...]
    scope: str
    tag_evidence: tuple[Struct, ...]
    gold: str | None
    answer_type: str
    pass_rate: float | None
    judge_score: float | None
    source: str
    source_revision: str
    record_id: str
    group_id: str
    license: str
    license_class: str
    generator: str
    asks: tuple[Struct, ...]
    teacher_license: str | None
    verdicts: tuple[Struct, ...]
    content_sha256: str
    num_text_chars: int
    num_frames: int
    num_pixels: int

    def row(self) -> dict[str, Any]:
        """The columns as a dictionary, shallow."""
        return dict(zip(COLUMNS, _values_of(self), strict=True))


COLUMNS: Final = tuple(column.name for column in fields(Sample))
"""Column names, in order."""

_values_of: Final = attrgetter(*COLUMNS)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


def split_of(group: str) -> Split:
    """The hash split of a group, named as a row's `group_id` is (`namespace:group`): the column decides it alone."""
    digest = hashlib.sha256(group.encode()).digest()
    point = int.from_bytes(digest[:8], "big") % 1000
    if point < SPLIT_PER_MILLE["train"]:
        return "train"
    return "validation" if point < SPLIT_PER_MILLE["train"] + SPLIT_PER_MILLE["validation"] else "test"


def content_sha256(messages: tuple[Struct, ...], image_sha256: tuple[str, ...]) -> str:
    """Hash of what a model would train on: the messages and the images, nothing else."""
    text = _ENCODER.encode([list(messages), list(image_sha256)])
    return hashlib.sha256(text.encode()).hexdigest()
