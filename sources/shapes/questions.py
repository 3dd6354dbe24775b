"""From a row to its question: options and answers in the forms that datasets publish them."""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from schemas.record import Question
from sources.base import Refusal
from sources.entry import Columns
from sources.shapes.rows import Row, text, value_of

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAMES: Final = ("key", "letter", "label", "aid")
"""What an option's letter or number is called where options are objects: CMExam, MedXpertQA, HEAD-QA."""
TEXTS: Final = ("value", "content", "text", "atext")
MARK: Final = re.compile(r"^\(?([A-Z])\)?\s*[.:：、．)]\s*")
"""An option's own letter in front of its text: `A: a lesion`, `B. no lesion`."""
LINE: Final = re.compile(r"^\s*([A-Z])[\s.:：、．)]+(\S.*)$")
"""One option of several in one text, a line each."""


def question(row: Row, columns: Columns, lenient: bool = False) -> Question | None:
    """The row's question; None where it has none.

    An answer that is an option's letter, index or number is read as that option. Refusal for an answer
    that is no option, and None without an answer, unless `lenient`: a benchmark's question counts
    whatever its answer is, and several letters are several options, joined by "; ".
    """
    stem, options = text(row, columns.question, columns), options_of(row, columns)
    gold = _gold(text(row, columns.answer, columns), options, columns, lenient)
    if not stem or not (gold or lenient):
        return None
    if options and gold not in options.values() and not lenient:
        raise Refusal("answer-not-an-option", f"{len(options)} options")
    return Question(stem, gold, tuple(options.values()), text(row, columns.explanation, columns))


def options_of(row: Row, columns: Columns) -> dict[str, str]:
    """The row's options by letter (or the publisher's own key), in order; empty ones are left out."""
    if isinstance(columns.options, tuple):
        found = dict(zip(LETTERS, (text(row, name, columns) for name in columns.options), strict=False))
    else:
        found = _named(_parsed(value_of(row, columns.options)))
    kept = {key: option for key, option in found.items() if option and option not in columns.placeholders}
    marks = {key: MARK.match(option) for key, option in kept.items()}
    if all(mark and mark[1] == key for key, mark in marks.items()):
        bare = {key: MARK.sub("", option) for key, option in kept.items()}
        return {key: option for key, option in bare.items() if option}
    return kept


def _parsed(value: Any) -> Any:
    """Options that were published as text: JSON, a Python literal (MMMU), or a line each (CMExam's CSV)."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | dict):
            return cast("Any", found)
    lines = [LINE.match(line) for line in value.splitlines() if line.strip()]
    return {line[1]: line[2] for line in lines if line} if lines and all(lines) else [value]


def _named(value: Any) -> dict[str, str]:
    """Options as {letter: text}, from a mapping, a list of objects or a list of texts."""
    if isinstance(value, dict):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {str(key): _shown(option) for key, option in pairs}
    if not isinstance(value, list):
        return {}
    found: dict[str, str] = {}
    for letter, option in zip(LETTERS, cast("list[Any]", value), strict=False):
        if isinstance(option, dict):
            said = cast("Mapping[str, Any]", option)
            named = next((_shown(said[name]) for name in NAMES if said.get(name) is not None), letter)
            found[named] = next((_shown(said[name]) for name in TEXTS if name in said), "")
        else:
            found[letter] = _shown(option)
    return found


def _gold(answer: str, options: Mapping[str, str], columns: Columns, lenient: bool) -> str:
    if columns.answer_is != "text":
        place = int(answer) - (columns.answer_is == "number") if re.fullmatch(r"-?\d+", answer) else -1
        texts = list(options.values())
        if 0 <= place < len(texts):
            return texts[place]
        if lenient:
            return ""
        raise Refusal("answer-not-an-option", f"{len(texts)} options")
    if answer in options.values():
        return answer
    if answer in options or answer.upper() in options:
        return options.get(answer) or options[answer.upper()]
    bare = MARK.sub("", answer)
    if bare in options.values():
        return bare
    letters = re.sub(r"[\s,;]", "", answer)
    if lenient and letters and all(letter in options for letter in letters):
        return "; ".join(options[letter] for letter in letters)
    return answer


def _shown(value: Any) -> str:
    return "" if value is None else str(value).strip()
