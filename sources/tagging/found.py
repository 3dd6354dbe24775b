"""What one step of the cascade has to say."""

from dataclasses import dataclass
from typing import Literal

from schemas.record import Evidence
from sources.tagging.anatomy import Place


@dataclass(frozen=True, slots=True)
class Found:
    """A modality's evidence, and a place with how it was seen; None where the step cannot tell."""

    modality: Evidence | None = None
    place: Place | None = None
    seen: str = ""
    confidence: float = 0.0
    step: Literal["header", "dataset", "lexicon"] = "header"
