"""Anatomical terms: 120 of them in six languages, with DICOM and SNOMED codes and their organ systems."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from schemas.taxonomy import OrganSystem, Scope

TABLE: Final = Path(__file__).with_name("bodypart_map.csv")
COLUMNS: Final = {"en": "synonyms", "zh": "zh", "ja": "ja", "fr": "fr", "ru": "ru", "es": "es"}
"""Language -> column of its terms. A term is only ever looked for in text of its own language:
French `rate`, `main`, `dent` and Spanish `pie` are English words too."""

UNSPACED: Final = ("zh", "ja")
ORGAN_CHARACTERS: Final = set("肺肝胃肾腎脾眼耳脑脳胰膵肠腸喉咽鼻舌牙歯皮膝")
"""Single characters that mean an organ wherever they stand; others (手, 足, 头) also sit in other words."""

AMBIGUOUS: Final = {"en": {"lens", "iris", "pupil", "gland", "burn", "lad"}}
"""Words that mean something else too often to count alone (a camera's lens, an iris diaphragm, burn-in)."""

MASKED: Final = {"en": re.compile(r"stroke volume|cell phone|chest of drawers", re.I)}
"""Phrases whose words are not about the place that they name."""


_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Place:
    """A term's organ system, further systems, and scope."""

    term: str
    scope: Scope
    organ_system: OrganSystem | None
    also: tuple[OrganSystem, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A term found in a text, and where."""

    place: Place
    word: str
    start: int


def by_code(code: str) -> Place | None:
    """The place of a DICOM Body Part Examined or a SNOMED CT code; spaces and case do not count."""
    return _codes().get(_squeeze(code))


def find(text: str, language: str) -> list[Hit]:
    """Every term of the text's language, in order; of overlapping ones the longest."""
    pattern = _pattern(language)
    if pattern is None:
        return []
    masked = MASKED[language].sub(lambda match: " " * len(match.group()), text) if language in MASKED else text
    return [Hit(place, match.group(), match.start()) for place, match in _matches(masked, language)]


def _matches(text: str, language: str) -> Iterator[tuple[Place, re.Match[str]]]:
    """What `_pattern` finds, tried only where a word stands that some term opens with: 20 times as fast."""
    pattern, words, openings, end = _pattern(language), _words(language), _openings(language), 0
    assert pattern is not None
    for word in (_WORD if openings else pattern).finditer(text):
        if openings and (word.start() < end or word.group().casefold() not in openings):
            continue
        match = pattern.match(text, word.start())
        # `re` takes a dotless i for an i, and no term is spelled so
        if match is not None and (place := words.get(match.group().casefold())) is not None:
            end = match.end()
            yield place, match


def place_of(system: OrganSystem | None, scope: Scope, term: str) -> Place:
    """A place for tags that a publisher states outright."""
    return Place(term, scope, system if scope is Scope.ORGAN else None, ())


@cache
def _rows() -> tuple[tuple[dict[str, str], Place], ...]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple((row, _place(row)) for row in csv.DictReader(file))


def _place(row: dict[str, str]) -> Place:
    also = tuple(OrganSystem(name) for name in _split(row["also"]))
    if row["system"] in (Scope.MULTI_SYSTEM, Scope.WHOLE_BODY):
        return Place(row["term"], Scope(row["system"]), None, also)
    return Place(row["term"], Scope.ORGAN, OrganSystem(row["system"]), also)


@cache
def _codes() -> dict[str, Place]:
    codes: dict[str, Place] = {}
    for row, place in _rows():
        for code in (row["dicom_body_part"], row["sct_code"]):
            if code:
                codes.setdefault(_squeeze(code), place)
    return codes


@cache
def _words(language: str) -> dict[str, Place]:
    words: dict[str, Place] = {}
    for row, place in _rows():
        for word in _terms(row, language):
            words.setdefault(word.casefold(), place)
    return words


def _terms(row: dict[str, str], language: str) -> Iterator[str]:
    column = COLUMNS[language]
    terms = [row["term"], *_split(row[column])] if language == "en" else _split(row[column])
    for term in terms:
        short = language in UNSPACED and len(term) < 2 and term not in ORGAN_CHARACTERS
        if not short and term.casefold() not in AMBIGUOUS.get(language, set()):
            yield term


@cache
def _pattern(language: str) -> re.Pattern[str] | None:
    if language not in COLUMNS:
        return None
    longest_first = sorted(_words(language), key=lambda word: (-len(word), word))
    body = "|".join(map(re.escape, longest_first))
    return re.compile(body if language in UNSPACED else rf"(?<!\w)(?:{body})(?!\w)", re.IGNORECASE)


@cache
def _openings(language: str) -> frozenset[str] | None:
    """The first words of the language's terms; None where a term may start elsewhere than at a word."""
    first = [_WORD.match(term) for term in _words(language)]
    if language in UNSPACED or not all(first):
        return None
    return frozenset(word.group() for word in first if word)


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(",") if part.strip()]


def _squeeze(code: str) -> str:
    return "".join(character for character in code.upper() if character.isalnum())
