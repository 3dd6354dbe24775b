"""findings: a teacher that saw no picture names no finding and no organ that the facts do not give."""

import re
from typing import Final

from generators.facts import facts_text
from generators.gates.said import assistant_text
from schemas.conversation import Conversation, Verdict
from schemas.record import Record

STEMS: Final = (
    "abscess", "aneurysm", "atelectas", "bleed", "calcif", "cancer", "carcino", "cardiomegal", "cirrhos",
    "consolidat", "cyst", "diabet", "disease", "dislocat", "edema", "effusion", "embol", "emphysem", "fibros",
    "fractur", "haemorrh", "hemorrh", "hematoma", "hernia", "hypertens", "infarct", "infect", "inflam", "injur",
    "ischemi", "lesion", "lymphaden", "malignan", "mass", "metasta", "nodul", "obstruct", "opacit", "pneumon",
    "pneumothora", "polyp", "sarcoma", "stenos", "stroke", "thicken", "thrombo", "trauma", "tumor", "tumour",
    "ulcer",
)  # fmt: skip
"""Beginnings of words for what is abnormal; negated ones count too: who sees nothing cannot exclude."""

ORGANS: Final = (
    "abdom", "adrenal", "aort", "arter", "bladder", "bone", "brain", "breast", "bronch", "cerebell", "chest",
    "colon", "diaphragm", "esophag", "femur", "gallbladder", "heart", "hippocamp", "humer", "intestin",
    "kidney", "knee", "liver", "lung", "lymph", "mediastin", "muscle", "neck", "ovar", "pancrea", "pelvi",
    "prostat", "retina", "rib", "shoulder", "sinus", "skull", "spine", "spinal", "spleen", "stomach",
    "thoracic", "thyroid", "tibia", "trachea", "uter", "valve", "vein", "ventric", "vertebra",
)  # fmt: skip
"""Beginnings of words for parts of the body."""

_WORD: Final = re.compile(
    rf"\b(?P<stem>{'|'.join(sorted((*STEMS, *ORGANS), key=len, reverse=True))})\w*", re.IGNORECASE
)


def findings_from_facts(record: Record, conversation: Conversation) -> Verdict:
    """Refuses `invented-finding` and `invented-organ` of a teacher that was sent no picture."""
    sent = any(turn.frames for request, _ in conversation.asks for turn in request.turns)
    if sent or not conversation.asks:
        return Verdict("findings", True)
    facts = facts_text(record).casefold()
    for found in _WORD.finditer(assistant_text(conversation)):
        stem = found["stem"].casefold()
        if not re.search(rf"\b{stem}", facts):
            reason = "invented-finding" if stem in STEMS else "invented-organ"
            return Verdict("findings", False, reason, found[0])
    return Verdict("findings", True)
