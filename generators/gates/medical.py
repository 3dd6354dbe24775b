"""medical: a sample of the medical domain is about medicine."""

import re
from typing import Final

from generators.facts import fact_lines
from generators.gates.said import whole_text
from schemas.conversation import Conversation, Verdict
from schemas.record import Record

_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_TERMS: Final = re.compile(
    r"\b(?:patients?|clinic\w*|diagnos\w*|disease\w*|disorder\w*|syndrome\w*|medic(?:al|ine)\w*|anatom\w*|\w*patholog\w*|echocardio\w*|endoscop\w*|dermoscop\w*|"
    r"radio(?:graph|log)\w*|x-?rays?|MRI|CT|ultrasound|tomograph\w*|scans?|lesions?|tumou?rs?|fractures?|infections?|"
    r"heart|cardiac|lungs?|liver|kidneys?|brain|bones?|abdom\w*|chest|thorax|spine|pelvi\w*|skin|retina\w*|fundus|pancrea\w*|spleen|stomach|knees?|legs?|shoulders?|necks?|hands?|foot|feet|eyes?|uter\w*|muscles?|"
    r"ultrason\w*|magnetic resonance|nuclear medicine|colon|tissue\w*|cells?|"
    r"ICD|symptoms?|treatment\w*|therap\w*|surg\w*|"
    r"pacient\w+|enfermedad\w*|doença\w*|maladie\w*|lésion\w*|lesi[oó]n\w*|krank\w+|diagnóstic\w+|pulm\w+|poumon\w*|lunge\w*|leber|foie|hígado|fígado|"
    r"больн\w+|пациент\w*|легк\w+|лёгк\w+|печен\w+|заболева\w+|диагно\w+|bệnh\w*|phổi|gan)\b"
    r"|患者|疾病|诊断|診断|病变|肺|肝|肾|腎|脑|脳|心脏|心臓|骨|환자|질환|진단|폐|간|뇌|مريض|مرض|الرئة|الكبد|تشخيص|रोग|मरीज|फेफड़|निदान|यकृत",
    re.IGNORECASE,
)
"""A first lexicon: a sample with none of these words is not about medicine in any of the twelve languages."""


def is_medical(record: Record, conversation: Conversation) -> Verdict:
    """Refuses `not-medical`: no medical word and no word of the facts; general-domain records pass."""
    text = whole_text(conversation)
    if record.domain == "general" or _TERMS.search(text):
        return Verdict("medical", True)
    known = {word for line in fact_lines(record) for word in _WORD.findall(line.casefold())}
    passed = not known.isdisjoint(_WORD.findall(text.casefold()))
    return Verdict("medical", passed, "" if passed else "not-medical")
