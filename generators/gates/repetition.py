"""repetition: the same words, lines or phrases over and over."""

import re
import zlib
from collections import Counter
from typing import Final

from generators.gates.said import assistant_text
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record

_TOKEN: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+")
MIN_COMPRESSED_BYTES: Final = 400
"""Shorter texts say little by how they compress."""

MIN_REPEATS: Final = 3
"""A phrase that comes twice is style; three times in a short text is a loop."""


def not_repetitive(max_4gram_share: float, max_line_share: float, max_compression: float) -> Gate:
    """Refuses `repeated-phrase`, `repeated-line` and `compressible` text."""

    def check(record: Record, conversation: Conversation) -> Verdict:
        text = assistant_text(conversation)
        seen = (
            ("repeated-phrase", phrase_share(text), max_4gram_share),
            ("repeated-line", line_share(text), max_line_share),
            ("compressible", compression(text), max_compression),
        )
        for reason, value, limit in seen:
            if value > limit:
                return Verdict("repetition", False, reason, f"{value:.2f} > {limit:g}")
        return Verdict("repetition", True)

    return check


def phrase_share(text: str) -> float:
    """The share of the text's words that its most frequent 4-gram covers; 0 below `MIN_REPEATS` times.

    Words, as in Gopher's rule for repeated n-grams; kana and Han count one character each.
    """
    words = _TOKEN.findall(text.casefold())
    grams = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    most = max(grams.values(), default=0)
    return min(4 * most / len(words), 1.0) if most >= MIN_REPEATS else 0.0


def line_share(text: str) -> float:
    """The share of lines that are copies of an earlier one."""
    lines = [line.strip().casefold() for line in text.splitlines() if line.strip()]
    return 1 - len(set(lines)) / len(lines) if lines else 0.0


def compression(text: str) -> float:
    """How many times smaller zlib makes the text; 1 for short texts."""
    data = text.encode()
    return len(data) / len(zlib.compress(data, 6)) if len(data) >= MIN_COMPRESSED_BYTES else 1.0
