"""The closed sets of tags: 12 organ systems, 14 modalities, scopes, languages.

Source: Hulu-Med's README (2025), which prints 14 anatomical labels and calls them 12; the two that
are no system (Multi-System, Whole Body) are scopes here. See `docs/architecture.md`.
"""

from enum import StrEnum
from typing import Final


class OrganSystem(StrEnum):
    """The 12 organ systems."""

    SKIN = "Skin/Integumentary"
    RESPIRATORY = "Respiratory"
    CELLULAR = "Cellular/Tissue Level"
    DIGESTIVE = "Digestive"
    NERVOUS = "Nervous"
    CARDIOVASCULAR = "Cardiovascular"
    MUSCULOSKELETAL = "Musculoskeletal"
    REPRODUCTIVE = "Reproductive"
    URINARY = "Urinary"
    ENDOCRINE = "Endocrine"
    IMMUNE = "Immune/Lymphatic"
    HEMATOLOGIC = "Hematologic"


class Scope(StrEnum):
    """How much of a body a sample is about; only `ORGAN` has an organ system."""

    ORGAN = "organ"
    MULTI_SYSTEM = "Multi-System"
    WHOLE_BODY = "Whole Body"
    UNRESOLVED = "unresolved"


class Modality(StrEnum):
    """The 14 imaging modalities, and `UNRESOLVED` for media whose modality no step could tell."""

    CT = "CT"
    MRI = "MRI"
    XRAY = "X-Ray"
    ULTRASOUND = "Ultrasound"
    PET = "PET"
    OCT = "OCT"
    ENDOSCOPY = "Endoscopy"
    MICROSCOPY = "Microscopy"
    HISTOPATHOLOGY = "Histopathology"
    FUNDUS = "Fundus"
    DERMOSCOPY = "Dermoscopy"
    ANGIOGRAPHY = "Angiography"
    PHOTOGRAPH = "Digital Photograph"
    CHART = "Medical Chart"
    UNRESOLVED = "unresolved"


LANGUAGES: Final = ("en", "zh", "es", "fr", "de", "ru", "ja", "ko", "pt", "ar", "hi", "vi")
"""ISO 639-1 codes that the multilingual flow must be able to write."""

LANGUAGE_NAMES: Final = {
    "en": "English", "zh": "Chinese", "es": "Spanish", "fr": "French", "de": "German", "ru": "Russian",
    "ja": "Japanese", "ko": "Korean", "pt": "Portuguese", "ar": "Arabic", "hi": "Hindi", "vi": "Vietnamese",
}  # fmt: skip
"""What a prompt calls each language."""
