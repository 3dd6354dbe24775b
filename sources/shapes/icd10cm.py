"""Shape `icd10cm`: questions with gold answers built from the ICD-10-CM terminology."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final, Literal

from schemas.errors import SourceError
from schemas.record import Facts, Hints, Question, Record, Reject, SourceShard
from schemas.taxonomy import OrganSystem
from sources.entry import Shape
from sources.files import check_packages
from sources.shapes.adapter import Adapter, record_of

Kind = Literal["category", "chapter"]
Ranges = tuple[tuple[str, str, OrganSystem], ...]
"""First category, last category, organ system."""

KINDS: Final[tuple[Kind, ...]] = ("category", "chapter")

VAGUE: Final = ("unspecified", "other ", "not elsewhere", "encounter", "classified elsewhere", "sequela")
"""Words of descriptions that fit too many places to be asked about."""

LENGTH: Final = (12, 90)
"""Characters of a description that is neither a stub nor a paragraph."""


LOADING: Final = threading.Lock()
"""Held while the terminology loads: the package fills its tables lazily, and a second thread would see half of them."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A question before it is worded: which code, asked for what."""

    code: str
    category: str
    kind: Kind
    organ_system: OrganSystem


class Icd10Cm(Adapter):
    """Which category, which chapter: the terminology itself gives the answer and its neighbours the options."""

    shape: ClassVar[Shape] = "icd10cm"
    unit: ClassVar[str] = "questions"

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the questions in the range; the terminology itself is loaded once per process (2.5 s)."""
        check_packages(self._entry)
        spec = self._entry.questions
        if spec is None:
            raise SourceError(f"source {self.id!r}: its entry has no [questions] table")
        ranges = tuple((item.first, item.last, item.organ_system) for item in spec.ranges)
        with LOADING:
            planned = plan(ranges, spec.num_options)
        if len(planned) != self._entry.records:
            raise SourceError(
                f"source {self.id!r}: its entry says {self._entry.records} questions, the terminology gives "
                f"{len(planned)}; check the installed edition, then correct 'records'"
            )
        for question in planned[start:stop]:
            yield self._record(question, ranges, spec.num_options)

    def _record(self, planned: Planned, ranges: Ranges, num_options: int) -> Record:
        if planned.kind == "category":
            question = _category(planned, num_options)
        else:
            question = _chapter(planned, ranges, num_options)
        metadata = {"terminology": "ICD-10-CM", "asked for": planned.kind, "code": planned.code}
        return record_of(
            self._entry,
            id=f"{planned.code}-{planned.kind}",
            group_id=planned.category,
            media=(),
            facts=Facts(question=question, metadata=metadata),
            hints=Hints(organ_system=planned.organ_system, text=f"{question.stem} {question.gold}"),
        )


@cache
def plan(ranges: Ranges, num_options: int) -> tuple[Planned, ...]:
    """Every question, shuffled by hash: two per category where both can be asked without giving the answer away.

    A range of a task is then a fair sample of all chapters.
    """
    planned: list[Planned] = []
    for category in _categories():
        system = _system(category, ranges)
        code = _representative(category) if system else None
        if system is None or code is None:
            continue
        planned.extend(
            Planned(code, category, kind, system) for kind in KINDS if _askable(code, category, kind, num_options)
        )
    return tuple(sorted(planned, key=lambda question: _rank(question.code, question.kind)))


def _askable(code: str, category: str, kind: Kind, num_options: int) -> bool:
    if kind == "chapter":
        return True
    names_answer = _text(category).casefold() in _text(code).casefold()
    return code != category and not names_answer and len(_siblings(category)) >= num_options - 1


def _category(planned: Planned, num_options: int) -> Question:
    gold = _text(planned.category)
    siblings = sorted(_siblings(planned.category), key=lambda sibling: _rank(planned.code, sibling))
    wrong = [_text(sibling) for sibling in siblings[: num_options - 1]]
    stem = f'In ICD-10-CM, which category does the diagnosis "{_text(planned.code)}" belong to?'
    block = _text(_icd().get_parent(planned.category))
    explanation = f'Code {planned.code} stands in category {planned.category}, "{gold}", in the block "{block}".'
    return Question(stem, gold, _ordered((gold, *wrong), planned.code), explanation)


def _chapter(planned: Planned, ranges: Ranges, num_options: int) -> Question:
    own = _chapter_of(planned.category)
    gold = _title(own)
    others = [chapter for chapter in _chapters(ranges) if chapter != own]
    wrong = sorted(others, key=lambda chapter: _rank(planned.code, chapter))[: num_options - 1]
    stem = f'In ICD-10-CM, which chapter is the diagnosis "{_text(planned.code)}" listed in?'
    explanation = f"Code {planned.code} is listed in chapter {own}, {gold}."
    options = _ordered((gold, *(_title(chapter) for chapter in wrong)), planned.code)
    return Question(stem, gold, options, explanation)


def _ordered(options: tuple[str, ...], key: str) -> tuple[str, ...]:
    """Options in an order that only the key decides, so that no position is favoured."""
    return tuple(sorted(options, key=lambda option: _rank(key, option)))


def _rank(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode()).digest()


@cache
def _icd() -> Any:
    """The terminology; loading parses 10 MB of XML."""
    import simple_icd_10_cm

    return simple_icd_10_cm


@cache
def _categories() -> tuple[str, ...]:
    """Every category once: the list names a block of one category, such as B20, twice."""
    icd = _icd()
    return tuple(dict.fromkeys(code for code in icd.get_all_codes() if icd.is_category(code)))


def _representative(category: str) -> str | None:
    """One codable diagnosis of the category: the hash-first among those that say enough; None if none does."""
    icd = _icd()
    below = [code for code in icd.get_descendants(category) if icd.is_leaf(code)] or [category]
    clear = [code for code in below if _is_clear(_text(code))]
    return min(clear, key=lambda code: _rank(category, code), default=None)


def _is_clear(text: str) -> bool:
    low, high = LENGTH
    return low <= len(text) <= high and not any(word in text.casefold() for word in VAGUE)


def _siblings(category: str) -> list[str]:
    """Other categories of the same block, then of the chapter's other blocks, with other descriptions."""
    icd, own = _icd(), _text(category)
    near = [code for code in icd.get_children(icd.get_parent(category)) if icd.is_category(code)]
    if len(near) < 4:
        chapter = _chapter_of(category)
        near = [code for code in icd.get_descendants(chapter) if icd.is_category(code)]
    by_text = {_text(code): code for code in near if _text(code) != own}
    return list(by_text.values())


def _chapter_of(category: str) -> str:
    return str(_icd().get_ancestors(category)[-1])


@cache
def _chapters(ranges: Ranges) -> tuple[str, ...]:
    """The chapters that the ranges touch."""
    codes = (code for code in _categories() if _system(code, ranges))
    return tuple(sorted({_chapter_of(code) for code in codes}))


def _system(category: str, ranges: Ranges) -> OrganSystem | None:
    found = (system for first, last, system in ranges if first <= category <= last)
    return next(found, None)


@cache
def _text(code: str) -> str:
    return str(_icd().get_description(code)).strip()


def _title(chapter: str) -> str:
    """A chapter's name without its range of codes, which would give the answer away."""
    return _text(chapter).rsplit(" (", 1)[0]
