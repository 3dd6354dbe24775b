"""consistency: sides and modality as the record has them."""

import re
from collections.abc import Mapping
from typing import Final

from generators.facts import facts_text
from generators.gates.said import assistant_text
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record
from schemas.taxonomy import Modality

_SIDES: Final[Mapping[str, re.Pattern[str]]] = {
    "left": re.compile(
        r"\b(?:left|izquierd[oa]s?|gauches?|linke[rsnm]?|links|esquerd[oa]s?|trái|лев\w+|слева)\b|左|왼쪽|좌측|أيسر|اليسرى|बाए[ंँ]|बायी?ं?",
        re.IGNORECASE,
    ),
    "right": re.compile(
        r"\b(?:right|derech[oa]s?|droite?s?|rechte[rsnm]?|rechts|direit[oa]s?|phải|прав(?:ый|ая|ое|ого|ой|ом|ых|ые)|справа)\b|右|오른쪽|우측|أيمن|اليمنى|दाए[ंँ]|दायी?ं?",
        re.IGNORECASE,
    ),
}
_BOTH: Final = re.compile(
    r"\b(?:both|bilateral\w*|bilatéra\w+|beidseit\w+|двусторон\w+)\b|双侧|両側|양측", re.IGNORECASE
)

_SIDED: Final = re.compile(r"\b(left|right)[\s-]+([a-z]{4,})", re.IGNORECASE)

NAMES: Final[Mapping[Modality, re.Pattern[str]]] = {
    modality: re.compile(pattern, re.IGNORECASE)
    for modality, pattern in {
        Modality.CT: r"\b(?:CTs?|computed tomograph\w+|tomodensitométrie|Computertomogra\w+|КТ)\b|断层扫描",
        Modality.MRI: r"\b(?:MRIs?|MR imag\w+|magnetic resonance|IRM|resonancia magnética|МРТ|Kernspin\w+)\b|磁共振",
        Modality.XRAY: r"\b(?:x-?rays?|radiograph(?:s|y)?|radiograf[ií]as?|Röntgen\w*|рентген\w*)\b|X[线光]|レントゲン",
        Modality.ULTRASOUND: r"\b(?:ultrasounds?|(?:ultra)?sonogra\w+|echocardiogra\w+|УЗИ)\b|超声|超音波|초음파",
        Modality.PET: r"\b(?:PET|positron emission)\b",
        Modality.OCT: r"\b(?:OCT|optical coherence tomograph\w+)\b",
        Modality.ENDOSCOPY: r"\b(?:endoscop\w+|colonoscop\w+|gastroscop\w+|bronchoscop\w+)\b|内镜|内視鏡",
        Modality.HISTOPATHOLOGY: r"\b(?:histopatholog\w+|biopsy slides?|H&E)\b|病理切片",
        Modality.FUNDUS: r"\bfundus (?:photo\w*|images?)\b|眼底",
        Modality.DERMOSCOPY: r"\b(?:dermoscop\w+|dermatoscop\w+)\b",
        Modality.ANGIOGRAPHY: r"\bangiogra(?:m|ms|phy|phic)\b|血管造影",
        Modality.CHART: r"\b(?:electrocardiogram|ECG|EKG)\b|心电图",
    }.items()
}
"""What each modality is called; those without an entry are called too many things to be told apart."""

DICOM: Final[Mapping[str, Modality]] = {
    "CT": Modality.CT, "MR": Modality.MRI, "CR": Modality.XRAY, "DX": Modality.XRAY, "US": Modality.ULTRASOUND,
    "PT": Modality.PET, "OPT": Modality.OCT, "ES": Modality.ENDOSCOPY, "XA": Modality.ANGIOGRAPHY,
}  # fmt: skip
"""DICOM modality codes that mean one modality; source: medical-data.md 2.2."""


def sides_agree(need_facts: bool) -> Gate:
    """Refuses `side-swapped` (the facts know only the other side) and, where asked, `side-invented`."""

    def check(record: Record, conversation: Conversation) -> Verdict:
        facts, text = facts_text(record), assistant_text(conversation)
        known = {side for side, pattern in _SIDES.items() if pattern.search(facts)}
        known = set(_SIDES) if _BOTH.search(facts) else known
        said = {side for side, pattern in _SIDES.items() if pattern.search(text)}
        swapped = next((pair for pair in _sided(text) if _swapped(pair, facts)), None)
        if swapped:
            return Verdict("sides", False, "side-swapped", " ".join(swapped))
        if not said <= known and (known or need_facts):
            reason = "side-swapped" if known else "side-invented"
            return Verdict("sides", False, reason, f"{', '.join(sorted(said - known))} is not in the facts")
        return Verdict("sides", True)

    return check


def _sided(text: str) -> list[tuple[str, str]]:
    """Each English side with the word that follows it, in lower case."""
    return [(side.lower(), noun.lower()) for side, noun in _SIDED.findall(text)]


def _swapped(pair: tuple[str, str], facts: str) -> bool:
    """Whether the facts have this noun, and only ever on the other side."""
    sides = {side for side, noun in _sided(facts) if noun == pair[1]}
    return bool(sides) and pair[0] not in sides and not _BOTH.search(facts)


def modality_agrees(record: Record, conversation: Conversation) -> Verdict:
    """Refuses `wrong-modality`: another modality's name that no fact has, where the record's own is known."""
    own = record.hints.modality or DICOM.get(record.hints.dicom_modality.upper())
    if own is None or own is Modality.UNRESOLVED:
        return Verdict("modality", True)
    facts, text = facts_text(record), assistant_text(conversation)
    for modality, pattern in NAMES.items():
        found = pattern.search(text) if modality is not own else None
        if found and not pattern.search(facts):
            return Verdict("modality", False, "wrong-modality", f"{found[0]}, but it is {own}")
    return Verdict("modality", True)
