"""Step 2: what the publisher says of the whole dataset or of this item."""

from typing import Final

from schemas.record import Evidence, Hints
from schemas.taxonomy import Scope
from sources.tagging.anatomy import place_of
from sources.tagging.found import Found
from sources.tagging.header import NOTES

CONFIDENCE: Final = 0.9


def read(hints: Hints) -> Found:
    """The catalogue's or the row's own tags."""
    modality = None
    if hints.modality is not None:
        code = hints.dicom_modality.upper()
        note = f"; header modality {code}: {NOTES[code]}" if code in NOTES else ""
        modality = Evidence("modality", hints.modality.value, "dataset", f"stated{note}", CONFIDENCE)
    scope = hints.scope or (Scope.ORGAN if hints.organ_system is not None else None)
    if scope is None or (scope is Scope.ORGAN and hints.organ_system is None):
        return Found(modality=modality)
    place = place_of(hints.organ_system, scope, "stated")
    return Found(modality=modality, place=place, seen="stated", confidence=CONFIDENCE, step="dataset")
