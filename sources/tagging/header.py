"""Step 1: what a DICOM header says. The SOP class first, since nobody types it."""

from typing import Final

from schemas.record import Evidence, Hints
from schemas.taxonomy import Modality
from sources.tagging.anatomy import Place, by_code, find
from sources.tagging.found import Found

CONFIDENCE: Final = 0.95

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
"""A screenshot of anything: its modality element says where it was copied from, not what it shows."""

SOP_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.1": Modality.XRAY,          # Computed Radiography
    "1.2.840.10008.5.1.4.1.1.1.1": Modality.XRAY,        # Digital X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.2": Modality.XRAY,        # Digital Mammography, for presentation
    "1.2.840.10008.5.1.4.1.1.1.3": Modality.XRAY,        # Digital Intra-Oral X-Ray
    "1.2.840.10008.5.1.4.1.1.2": Modality.CT,
    "1.2.840.10008.5.1.4.1.1.2.1": Modality.CT,          # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4": Modality.MRI,
    "1.2.840.10008.5.1.4.1.1.4.1": Modality.MRI,         # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.6.1": Modality.ULTRASOUND,
    "1.2.840.10008.5.1.4.1.1.3.1": Modality.ULTRASOUND,  # multi-frame
    "1.2.840.10008.5.1.4.1.1.6.2": Modality.ULTRASOUND,  # Enhanced US Volume
    "1.2.840.10008.5.1.4.1.1.12.1": Modality.ANGIOGRAPHY,
    "1.2.840.10008.5.1.4.1.1.12.1.1": Modality.ANGIOGRAPHY,
    "1.2.840.10008.5.1.4.1.1.12.2": Modality.XRAY,       # X-Ray Radiofluoroscopic
    "1.2.840.10008.5.1.4.1.1.20": Modality.PET,          # Nuclear Medicine: no class of its own
    "1.2.840.10008.5.1.4.1.1.128": Modality.PET,
    "1.2.840.10008.5.1.4.1.1.130": Modality.PET,         # Enhanced PET
    "1.2.840.10008.5.1.4.1.1.77.1.1": Modality.ENDOSCOPY,
    "1.2.840.10008.5.1.4.1.1.77.1.1.1": Modality.ENDOSCOPY,      # video
    "1.2.840.10008.5.1.4.1.1.77.1.2": Modality.MICROSCOPY,
    "1.2.840.10008.5.1.4.1.1.77.1.3": Modality.HISTOPATHOLOGY,   # slide coordinates
    "1.2.840.10008.5.1.4.1.1.77.1.6": Modality.HISTOPATHOLOGY,   # whole slide
    "1.2.840.10008.5.1.4.1.1.77.1.4": Modality.PHOTOGRAPH,
    "1.2.840.10008.5.1.4.1.1.77.1.5.4": Modality.OCT,    # Ophthalmic Tomography
}  # fmt: skip
"""Storage classes of images (PS3.4 B.5) -> ours. Ophthalmic photography is decided by the modality element."""

CODES: Final = {
    Modality.CT: ("CT",),
    Modality.MRI: ("MR", "MA", "MS"),
    Modality.XRAY: ("CR", "DX", "MG", "IO", "PX", "RG", "RF", "BMD", "DF", "CF", "VF"),
    Modality.ULTRASOUND: ("US", "IVUS", "BDUS", "EC", "CD", "DD"),
    Modality.PET: ("PT", "NM", "ST"),
    Modality.OCT: ("OPT", "OCT", "IVOCT", "OPTBSV", "OPTENF", "OPM"),
    Modality.ENDOSCOPY: ("ES", "CS", "LP", "CP"),
    Modality.MICROSCOPY: ("GM", "CFM"),
    Modality.HISTOPATHOLOGY: ("SM",),
    Modality.FUNDUS: ("OP", "FS", "OPR", "FA"),
    Modality.DERMOSCOPY: ("DMS",),
    Modality.ANGIOGRAPHY: ("XA", "DS", "AS"),
    Modality.PHOTOGRAPH: ("XC", "TG", "LS", "SRF", "KER"),
    Modality.CHART: (
        "ECG", "EEG", "EMG", "EOG", "HD", "RESP", "POS", "AU", "AR", "LEN", "VA", "OAM", "OPV", "IOL", "DOC",
    ),
}  # fmt: skip
"""Ours -> codes of (0008,0060): PS3.16 CID 33 and its retired codes. SR, SEG, OT, ... are in none."""

OURS: Final = {code: modality for modality, codes in CODES.items() for code in codes}

NOTES: Final = {
    "NM": "scintigraphy has no class of its own; PET is the nearest of the 14",
    "MG": "mammography",
    "RF": "fluoroscopy",
    "BMD": "densitometry",
    "TG": "thermography",
}
"""What our class hides."""

EXAMS: Final = {
    "EPICARDIAL": "HEART", "TEE": "HEART", "TTE": "HEART", "INTRACARDIAC": "HEART", "CARDIOLOGY": "HEART",
    "FETAL HEART": "FETUS", "OBSTETRICAL": "FETUS", "BREAST": "BREAST", "THYROID": "THYROID",
    "OPHTHALMIC": "EYE", "SCROTAL": "TESTIS", "TRANSCRANIAL": "BRAIN", "NEONATAL HEAD": "HEAD",
    "ENDORECTAL": "RECTUM", "ENDOVAGINAL": "PELVIS", "GYNECOLOGY": "PELVIS", "PELVIC": "PELVIS",
    "ABDOMINAL": "ABDOMEN", "CHEST": "CHEST", "MUSCULOSKELETAL": "EXTREMITY", "RETROPERITONEAL": "RETROPERITONEUM",
}  # fmt: skip
"""Ultrasound exam types, ImageType value 3 (PS3.3 C.8.5.6.1.1; CARDIOLOGY is Philips's) -> body part."""


def read(hints: Hints) -> Found:
    """Modality and organ system from the header's codes; what it does not say stays open."""
    modality = _modality(hints)
    place = _place(hints.dicom_body_part)
    if place is None:
        return Found(modality=modality)
    seen = f"body part {hints.dicom_body_part!r} ({place.term})"
    return Found(modality=modality, place=place, seen=seen, confidence=CONFIDENCE, step="header")


def _modality(hints: Hints) -> Evidence | None:
    if hints.dicom_sop_class.startswith(SECONDARY_CAPTURE):
        return None
    code = hints.dicom_modality.upper()
    by_class = SOP_CLASSES.get(hints.dicom_sop_class)
    modality = by_class or OURS.get(code)
    if modality is None:
        return None
    seen = f"SOP class {hints.dicom_sop_class}" if by_class else f"Modality {code}"
    note = f"; {NOTES[code]}" if code in NOTES else ""
    return Evidence("modality", modality.value, "header", seen + note, CONFIDENCE)


def _place(body_part: str) -> Place | None:
    """A code first, then words: BodyPartExamined is free text in practice ("Left Breast")."""
    if not body_part:
        return None
    named = EXAMS.get(body_part.upper().strip(), body_part)
    place = by_code(named)
    if place:
        return place
    found = find(named, "en")
    return found[0].place if found else None
