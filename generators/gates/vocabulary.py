"""vocabulary: a teacher that saw no picture describes it in the words of the facts."""

import re
from typing import Final

from generators.choices import stem_of
from generators.facts import facts_text
from generators.gates.said import assistant_text, human_text
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record

PLAIN: Final = (
    "about", "acquired", "acquisition", "across", "after", "again", "also", "appearance", "appears", "area",
    "available", "begin", "begins", "both", "caption", "center", "central", "clearly", "clip", "contains",
    "continue", "continues", "contrast", "demonstrates", "depicts", "described", "diameter", "displays", "does",
    "during", "each", "ends", "entire", "examination", "finding", "findings", "first", "focus", "followed",
    "found", "frame", "frames", "from", "given", "have", "having", "image", "images", "imaging", "impression",
    "including", "into", "lasts", "located", "location", "made", "measure", "measured", "measures", "measuring",
    "medical", "middle", "modality", "more", "obtained", "over", "part", "parts", "performed", "picture",
    "position", "presence", "present", "presented", "record", "recorded", "region", "report", "reported",
    "reveal", "reveals", "scan", "second", "seconds", "section", "seen", "series", "several", "shot", "show",
    "showing", "shown", "shows", "side", "sided", "single", "size", "start", "still", "structure", "structures",
    "study", "taken", "than", "that", "their", "there", "these", "this", "three", "through", "throughout",
    "together", "total", "type", "used", "using", "video", "view", "views", "visible", "visualized", "volume",
    "volumes", "well", "were", "what", "when", "where", "which", "while", "with", "within", "without",
)  # fmt: skip
"""Words that say how something is shown and nothing about what."""

_PLAIN: Final = frozenset(PLAIN)
_WORD: Final = re.compile(r"[a-z]{4,}")
STEM: Final = 5
"""Words are the same when their first five letters are: "pelvic" and "pelvis" are not, "lesion" and "lesions" are."""


def words_from_facts(max_share: float, questions: bool) -> Gate:
    """Refuses `ungrounded-words`: too large a share of an unseeing teacher's English words is from nowhere.

    `questions` reads a made question too, without its options: the wrong ones are not facts.
    """

    def check(record: Record, conversation: Conversation) -> Verdict:
        sent = any(turn.frames for request, _ in conversation.asks for turn in request.turns)
        if sent or not conversation.asks or conversation.language != "en":
            return Verdict("vocabulary", True)
        known = {word[:STEM] for word in _WORD.findall(facts_text(record).casefold())}
        asked = questions and conversation.gold != "No"  # what is denied is no fact
        text = f"{stem_of(human_text(conversation)) if asked else ''} {assistant_text(conversation)}"
        words = [word for word in _WORD.findall(text.casefold()) if word not in _PLAIN]
        new = sorted({word for word in words if word[:STEM] not in known})
        share = len(new) / len(set(words)) if words else 0.0
        passed = share <= max_share
        detail = "" if passed else ", ".join(new)[:120]
        return Verdict("vocabulary", passed, "" if passed else "ungrounded-words", detail, round(share, 3))

    return check
