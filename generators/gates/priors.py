"""priors: no comparison with an examination that nobody was shown."""

import re
from typing import Final

from generators.facts import facts_text
from generators.gates.said import assistant_text
from schemas.conversation import Conversation, Verdict
from schemas.record import Record

_EARLIER: Final = r"(?:prior|previous|earlier|preceding|last)"
_STUDY: Final = r"(?:study|exam\w*|scan|image|film|radiograph|ct|mri)"
_PATTERN: Final = re.compile(
    "|".join(
        (
            rf"\b(?:compared|comparison|relative) (?:to|with) (?:the |a |an )?(?:\w+ )?{_EARLIER}\b",
            rf"\b(?:since|from|on|than) (?:the |a )?{_EARLIER} (?:\w+ )?{_STUDY}\b",
            r"\binterval (?:change|increase|decrease|development|resolution|growth|improvement|worsening)\b",
            r"\b(?:unchanged|stable|improved|worsened) (?:since|from|compared|in size|appearance|in appearance)\b",
            r"\bno longer (?:seen|visible|present)\b",
            r"\b(?:has|have) (?:increased|decreased|improved|worsened|resolved|progressed)\b",
            r"(?:与|和|较)(?:之前|既往|前|上次|旧)(?:片|次|检查|影像)?|前回(?:と|検査)|以前の検査|이전 (?:검사|영상)",
            r"\bcompara(?:do|da|ción|ção|tivamente)\b.{0,25}\b(?:previ[oa]|anterior)\b",
            r"\bpar rapport à (?:l'|la |le )?(?:examen|étude|cliché|radio\w*)? ?(?:antérieur|précédent)e?\b",
            r"\bim vergleich zu[rm]? (?:vor\w+|früher\w+)\b",
            r"\bпо сравнению с (?:предыдущ|прежн)\w+",
            r"\bso với (?:lần|phim|hình) trước\b|مقارنة ب(?:الفحص|الصورة) السابق|पिछल[ीे] (?:जांच|स्कैन) की तुलना",
        )
    ),
    re.IGNORECASE,
)


def no_priors(record: Record, conversation: Conversation) -> Verdict:
    """Refuses `invented-prior`: a comparison in time that the facts do not make."""
    found = _PATTERN.search(assistant_text(conversation))
    if found and not _PATTERN.search(facts_text(record)):
        return Verdict("priors", False, "invented-prior", found[0])
    return Verdict("priors", True)
