"""Lettered choices: how they are written in a human turn and read back from one."""

import re
from collections.abc import Sequence
from typing import Final

LETTERS: Final = "ABCDEFGH"
_LINE: Final = re.compile(rf"^([{LETTERS}])\. (.+)$", re.MULTILINE)
_EDGE: Final = re.compile(r"[\s.,;:!?'\"()\[\]。，；：！？]+")


def lettered(options: Sequence[str]) -> str:
    """`A. first`, `B. second`, one a line."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


def choices_in(text: str) -> dict[str, str]:
    """The lettered choices of a text, in order; later ones win where a letter comes twice."""
    return {letter: option.strip() for letter, option in _LINE.findall(text)}


def stem_of(text: str) -> str:
    """A question without its lettered choices."""
    return _LINE.sub("", text).strip()


def same(one: str, other: str) -> bool:
    """Whether two short answers are the same but for case, punctuation and spacing."""
    return normal(one) == normal(other)


def normal(text: str) -> str:
    """An answer stripped to words: lower case, no punctuation, single spaces, no leading article."""
    words = " ".join(_EDGE.sub(" ", text.casefold()).split())
    return re.sub(r"^(?:an?|the) ", "", words)
