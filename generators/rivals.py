"""Closed sets of the same type: what else a fact could have been, for wrong statements and distractors."""

import functools
from typing import Final

from generators.facts import VISIBLE
from schemas.record import Record
from schemas.taxonomy import Modality, OrganSystem

MODALITY_WORDS: Final = (
    "computed tomography", "magnetic resonance", "ultrasound", "computed radiography", "nuclear medicine",
    "endoscopy",
)  # fmt: skip
"""As DICOM sources spell them."""

BODY_PARTS: Final = (
    "head", "neck", "chest", "heart", "abdomen", "pelvis", "spine", "shoulder", "hand", "leg", "knee", "foot",
    "extremity",
)  # fmt: skip
"""In a picture of one of them the others are not the answer."""

MAX_ANSWER_WORDS: Final = 6

SETS: Final[tuple[tuple[str, ...], ...]] = (
    MODALITY_WORDS,
    tuple(modality.value for modality in Modality if modality is not Modality.UNRESOLVED),
    tuple(system.value for system in OrganSystem),
    BODY_PARTS,
    ("liver", "kidney", "spleen", "pancreas", "lung", "heart", "brain", "colon", "retina", "uterus", "skin"),
    ("axial", "coronal", "sagittal"),
    ("PA", "AP", "lateral", "oblique"),
    ("left", "right"),
)
"""Each set's members exclude one another as the answer to one question."""


def targets_of(record: Record) -> tuple[tuple[str, str], ...]:
    """The (key, value) facts that can be seen and are short enough to be an answer, in order, each value once."""
    facts = record.facts
    seen = [(key, value) for key, value in facts.metadata.items() if key in VISIBLE]
    pairs = [*seen, *(("visible structure or finding", label) for label in facts.labels)]
    few = [pair for pair in pairs if 0 < len(pair[1].split()) <= MAX_ANSWER_WORDS]
    short = {value.casefold(): (key, value) for key, value in reversed(few)}
    return tuple(reversed(short.values()))


@functools.lru_cache(maxsize=1_024)
def rivals_of(value: str) -> tuple[str, ...]:
    """The other members of the first set that `value` belongs to; empty when it is in none."""
    for members in SETS:
        if value.casefold() in map(str.casefold, members):
            return tuple(member for member in members if member.casefold() != value.casefold())
    return ()
