"""grounding of numbers: no number, measurement or date that the facts do not give."""

import re
from typing import Final

from generators.facts import facts_text
from generators.gates.said import assistant_text
from schemas.conversation import Conversation, Verdict
from schemas.record import Record

_NUMBER: Final = re.compile(r"(?<![^\W\d_])(?<![\d.,])(\d+(?:[.,]\d+)*)(?:\s*-?\s*(%|[^\W\d_]{1,12}))?")
_LIST_MARK: Final = re.compile(r"^\s*(?:\d+[.)]|\[[\d.]+-[\d.]+ s\])\s", re.MULTILINE)
_SPELLED: Final = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|fifty|hundred)"
    r"[ -](?:mm|cm|ml|millimet\w+|centimet\w+|millilit\w+|degrees|percent|years?|months?|weeks?|days?)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n+")
_LETTERS: Final = re.compile(r"[^\W\d_][^\s,;.]*")
UNITS: Final = {
    "mm": "mm", "millimeter": "mm", "millimeters": "mm", "millimetre": "mm", "millimetres": "mm",
    "cm": "cm", "centimeter": "cm", "centimeters": "cm", "centimetre": "cm", "centimetres": "cm",
    "ml": "ml", "milliliter": "ml", "milliliters": "ml", "cc": "ml", "l": "l",
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "ms": "ms", "min": "min", "minutes": "min",
    "fps": "fps", "%": "%", "percent": "%", "mg": "mg", "g": "g", "kg": "kg", "hu": "hu", "bpm": "bpm",
    "years": "y", "year": "y", "months": "mo", "days": "d", "weeks": "w",
}  # fmt: skip
"""Spellings of units, so that a right number with a wrong unit is told from a right one."""


def numbers_from_facts(record: Record, conversation: Conversation) -> Verdict:
    """Refuses `invented-number` (not in the facts), `wrong-unit` and `misattributed-number` (another label's)."""
    facts = facts_text(record)
    known = _numbers(facts)
    text = _LIST_MARK.sub("", assistant_text(conversation))
    spelled = _SPELLED.search(text)
    if spelled and spelled[0].casefold() not in facts.casefold():
        return Verdict("numbers", False, "invented-number", spelled[0])
    for value, units in _numbers(text).items():
        if value not in known:
            return Verdict("numbers", False, "invented-number", value)
        if units and known[value] and not units <= known[value]:
            return Verdict("numbers", False, "wrong-unit", f"{value} {'/'.join(sorted(units))}")
    stray = _misattributed(record, text)
    if stray:
        return Verdict("numbers", False, "misattributed-number", stray)
    return Verdict("numbers", True)


def _numbers(text: str) -> dict[str, set[str]]:
    """Every number of a text, in one spelling, with the units it is given in."""
    found: dict[str, set[str]] = {}
    for digits, unit in _NUMBER.findall(text):
        units = found.setdefault(_plain(digits), set())
        if unit.casefold() in UNITS:
            units.add(UNITS[unit.casefold()])
    return found


def _misattributed(record: Record, text: str) -> str:
    """A label's measured value after words that name another label, or ""; bare numbers go by their sentence."""
    facts = record.facts
    owners: dict[str, list[set[str]]] = {}
    for label in facts.labels:
        for value in _numbers(facts.metadata.get(label, "")):
            owners.setdefault(value, []).append(set(label.casefold().split()))
    for sentence in _SENTENCE.split(text) if owners else ():
        whole, start = _words(sentence), 0
        for found in _NUMBER.finditer(sentence):
            words, start = _words(sentence[start : found.start()]), found.end()
            value = _plain(found[1])
            named = words if any(words & owner for one in owners.values() for owner in one) else whole
            if value in owners and not any(owner <= named for owner in owners[value]):
                return f"{value} in {sentence.strip()[:100]!r}"
    return ""


def _words(text: str) -> set[str]:
    return set(_LETTERS.findall(text.casefold()))


def _plain(digits: str) -> str:
    """`4,10` and `4.1` are one number; `1,000` is 1000."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", digits):
        return digits.replace(",", "")
    whole, dot, rest = digits.replace(",", ".").partition(".")
    rest = rest.rstrip("0")
    return f"{whole.lstrip('0') or '0'}{dot if rest else ''}{rest}"
