"""What of a DICOM header may leave it, and which pictures a person must have looked at first."""

import hashlib
import re
from collections.abc import Callable, MutableSequence
from typing import Any, Final, cast

from schemas.phi import find_phi
from sources.base import Refusal

Dataset = Any
SALT: Final = b"calabash-uid-1\x00"
"""Keeps hashed identifiers from being joined with other projects' hashes of the same values."""

CODES: Final = {
    "CR": "computed radiography", "DX": "digital radiography", "MG": "mammography", "CT": "computed tomography",
    "MR": "magnetic resonance", "US": "ultrasound", "NM": "nuclear medicine", "PT": "positron emission tomography",
    "XA": "X-ray angiography", "RF": "fluoroscopy", "SR": "structured report", "OT": "other",
    "ES": "endoscopy", "OP": "ophthalmic photography", "SM": "slide microscopy", "XC": "external camera",
}  # fmt: skip
"""DICOM modality codes in words (PS3.16 CID 33)."""

NUMBERS: Final = {
    "SliceThickness": ("slice thickness", "mm"),
    "SpacingBetweenSlices": ("spacing between slices", "mm"),
    "KVP": ("tube voltage", "kV"),
    "XRayTubeCurrent": ("tube current", "mA"),
    "Exposure": ("exposure", "mAs"),
    "MagneticFieldStrength": ("field strength", "T"),
    "RepetitionTime": ("repetition time", "ms"),
    "EchoTime": ("echo time", "ms"),
    "InversionTime": ("inversion time", "ms"),
    "FlipAngle": ("flip angle", "degrees"),
    "FrameTime": ("frame time", "ms"),
    "NumberOfFrames": ("frames", ""),
}
"""Numeric tags that pass: keyword -> plain words, unit."""

WORDS: Final = {
    "BodyPartExamined": "body part",
    "ViewPosition": "view",
    "Laterality": "laterality",
    "ImageLaterality": "laterality",
    "PatientPosition": "patient position",
    "ScanningSequence": "scanning sequence",
    "MRAcquisitionType": "acquisition type",
    "ConvolutionKernel": "kernel",
    "AcquisitionContrast": "acquisition contrast",
}
"""Coded tags that pass."""

PLAIN: Final = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}
"""Laterality codes in words; other codes pass as they are."""

TEXTS: Final = {
    "StudyDescription": "study description",
    "SeriesDescription": "series description",
    "ProtocolName": "protocol",
    "ContrastBolusAgent": "contrast agent",
    "Manufacturer": "manufacturer",
}
"""Free text: passes only without PHI patterns and without any of the header's own identifying values."""

IDENTIFYING: Final = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthDate", "PatientAddress",
    "PatientTelephoneNumbers", "AccessionNumber", "StudyID", "ReferringPhysicianName", "PerformingPhysicianName",
    "OperatorsName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "RequestingPhysician",
    "InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber", "StudyInstanceUID",
    "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "StudyDate", "SeriesDate", "AcquisitionDate",
    "ContentDate", "VerifyingObserverName", "PersonName",
)  # fmt: skip
"""Keywords whose values never leave a header (PS3.15 Annex E, basic profile, as far as images carry them)."""

AT_RISK: Final = {"US", "IVUS", "OT", "ES", "XC", "RF", "XA", "SC", "GM", "LS", "DOC", "NM"}
"""Modalities whose pictures often carry text drawn by the device (reference notes 3.4)."""

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


def hashed(value: str) -> str:
    """A salted hash that stands for an identifier: 16 hex characters."""
    return hashlib.sha256(SALT + value.encode()).hexdigest()[:16]


def group_of(ds: Dataset) -> str:
    """The patient, hashed; the study where the header names no patient. Keeps one person in one split."""
    return hashed(str(ds.get("PatientID") or ds.get("StudyInstanceUID") or ds.get("SOPInstanceUID") or ""))


def metadata(ds: Dataset) -> dict[str, str]:
    """The header's technical values that may leave it, under plain words; nothing else is ever copied."""
    out: dict[str, str] = {}
    code = str(ds.get("Modality") or "")
    if code in CODES:
        out["modality"] = CODES[code]
    for keyword, name in WORDS.items():
        _put(out, name, ds.get(keyword), lambda value: PLAIN.get(str(value), str(value)).strip())
    for keyword, (name, unit) in NUMBERS.items():
        _put(out, name, ds.get(keyword), lambda value, unit=unit: f"{float(value):g} {unit}".strip())
    spacing = ds.get("PixelSpacing") or ds.get("ImagerPixelSpacing")
    if spacing and all(float(size) > 0 for size in spacing):
        out["pixel spacing"] = " x ".join(f"{float(size):.4g}" for size in spacing) + " mm"
    for keyword, name in TEXTS.items():
        text = clean_text(ds, str(ds.get(keyword) or ""))
        if text:
            out[name] = text
    if "body part" in out:
        out["body part"] = out["body part"].lower()
    return out


def clean_text(ds: Dataset, text: str) -> str:
    """A description that may leave the header; empty where it holds PHI, an identifying value or no word."""
    plain = " ".join(text.replace("^", " ").split())
    if not any(character.isalpha() for character in plain) or find_phi(plain):
        return ""
    return "" if any(_names(plain, value) for value in identifying(ds)) else plain


def identifying(ds: Dataset) -> set[str]:
    """The header's identifying values, whole and in parts, of three characters or more."""
    values: set[str] = set()
    for keyword in IDENTIFYING:
        element = ds.get(keyword)
        for value in _each(element):
            values.update({value, *value.replace("^", " ").split(" ")} if "UID" not in keyword else {value})
    return {value for value in values if len(value) >= 3 and any(c.isalnum() for c in value)}


def check_burned_in(ds: Dataset, reviewed: str) -> None:
    """Refuse a picture that may have text drawn into it and that nobody has looked at.

    `reviewed` is the entry's note of what a person saw; "YES" in BurnedInAnnotation needs one too.
    """
    modality = str(ds.get("Modality") or "")
    kinds = {str(kind).upper() for kind in _each(ds.get("ImageType"))}
    risky = (
        modality in AT_RISK
        or str(ds.get("SOPClassUID") or "").startswith(SECONDARY_CAPTURE)
        or str(ds.get("BurnedInAnnotation") or "").upper() == "YES"
        or bool(kinds & {"SCREEN SAVE", "SCREENSHOT"})
    )
    if risky and not reviewed.strip():
        raise Refusal("burned-in-text-unreviewed", f"modality {modality or 'unknown'}; add a 'reviewed' note")


def check_text(text: str) -> None:
    """Refuse text with PHI patterns, naming the kinds and never the text."""
    found = find_phi(text)
    if found:
        raise Refusal("phi-in-text", ", ".join(found))


def _names(text: str, value: str) -> bool:
    """Whether a text holds an identifying value: long ones anywhere, short ones as a word."""
    if len(value) >= 6:
        return value.casefold() in text.casefold()
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None


def _put(out: dict[str, str], name: str, value: Any, show: Callable[[Any], str]) -> None:
    """Set `name` where the value is there and reads as it should; malformed values count as absent."""
    if value is None or str(value).strip() in ("", "[]"):
        return
    try:
        shown = ", ".join(show(part) for part in _parts(value))
    except (TypeError, ValueError):
        return
    if shown:
        out.setdefault(name, shown)


def _parts(value: Any) -> list[Any]:
    """A multi-valued element's values; a person's name can be iterated too, and is one value."""
    return list(cast("MutableSequence[Any]", value)) if isinstance(value, MutableSequence) else [value]


def _each(value: Any) -> list[str]:
    """A value that may be absent, one or several, as stripped strings."""
    return [] if value is None else [str(part).strip() for part in _parts(value) if str(part).strip()]
