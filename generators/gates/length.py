"""length: as many words as the task wants."""

from collections.abc import Mapping
from typing import Final

from generators.gates.said import assistant_text, num_words
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record

WORDS: Final[Mapping[str, tuple[int, int]]] = {
    "caption": (10, 60),
    "long_annotation": (120, 600),
    "video_description": (30, 300),
    "multilingual_reasoning": (75, 3_000),
    "synthetic_qa": (1, 60),
    "verbatim": (1, 4_000),
}
"""Words that the assistant may say: medical-data.md 4.2 step 3 (100-4,000 tokens of reasoning there)."""

ANY: Final = (1, 4_000)
"""For generators that are not in `WORDS`."""


def length_within(min_words: int, max_words: int) -> Gate:
    """Refuses fewer than `min_words` (`too-short`) and more than `max_words` (`too-long`)."""

    def check(record: Record, conversation: Conversation) -> Verdict:
        count = num_words(assistant_text(conversation))
        reason = "too-short" if count < min_words else "too-long" if count > max_words else ""
        detail = f"{count} words, not {min_words}-{max_words}" if reason else ""
        return Verdict("length", not reason, reason, detail)

    return check
