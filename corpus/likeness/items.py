"""What the engines take and give: items, benchmark items, drops, reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from schemas.sample import Grade, Split

Pictures = Callable[[], Sequence[bytes]]
"""Gives an item's encoded pictures (PNG or JPEG) when asked, so that memory holds only those at work."""

WEAK: Final = "dataset:"
"""A key that begins so names where an item comes from, not the patient or article it is about."""


def no_pictures() -> Sequence[bytes]:
    """The pictures of an item that has none."""
    return ()


@dataclass(frozen=True, slots=True)
class Item:
    """A sample, or a record before generation, as the engines see it.

    `number` is the caller's name for it (a row number) and comes back in drops. `text` is all that a model would
    train on. `group` is the patient, article, study or video, qualified so that equal means the same original.
    `keys` name originals across sources (`"patient:..."`, `"article:..."`, `"video:..."`, `"image:..."`) and, with
    `"dataset:..."`, the data set it comes from. `content_sha256` may be empty; equal ones are exact duplicates.
    """

    number: int
    source: str
    group: str
    text: str
    pictures: Pictures = no_pictures
    num_pictures: int = 0
    modality: str | None = None
    keys: frozenset[str] = frozenset()
    flow: str = ""
    split: Split = "train"
    grade: Grade = "production"
    content_sha256: str = ""


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One question of a benchmark; `keys` as in `Item`, `context` is the passage that it is asked about.

    `language` is ISO 639-1: how rare a word is counts among the items of its language.
    """

    benchmark: str
    id: str
    question: str
    options: tuple[str, ...] = ()
    answer: str = ""
    context: str = ""
    pictures: Pictures = no_pictures
    num_pictures: int = 0
    modality: str | None = None
    keys: frozenset[str] = frozenset()
    language: str = "en"


Reason = Literal[
    "crosses-splits",
    "duplicate-exact",
    "duplicate-text",
    "duplicate-image",
    "group-cap",
    "benchmark-key",
    "benchmark-text",
    "benchmark-image",
]


@dataclass(frozen=True, slots=True)
class Drop:
    """An item that should not be trained on.

    `other` is the number of the item that stays, as text, or `"BENCHMARK/ID"`; empty for `crosses-splits` and
    `group-cap`. `score` is what the deciding measure gave (1 for identity); `detail` says it in words.
    """

    number: int
    reason: Reason
    other: str
    score: float
    detail: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where repetition begins.

    `jaccard` is of word 5-grams; `correlation` and `hamming` (of 256 bits) are of pictures (`likeness/pictures.py`).
    `per_group` is how many items of one group one flow may have, None for any number; `caps` says it by flow.
    """

    jaccard: float = 0.8
    correlation: float = 0.95
    hamming: int = 24
    per_group: int | None = 10
    caps: Mapping[str, int | None] = field(default_factory=dict[str, int | None])


@dataclass(frozen=True, slots=True)
class Example:
    """One removal, to be looked at: excerpts are cut to a line."""

    number: int
    id: str
    reason: Reason
    score: float
    item_text: str
    benchmark_text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark cost: `candidates` were compared in full, `removed` counts by reason."""

    benchmark: str
    num_items: int
    num_candidates: int
    removed: Mapping[Reason, int]
    thresholds: Mapping[str, float]
    examples: tuple[Example, ...]
