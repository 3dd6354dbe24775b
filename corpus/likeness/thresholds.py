"""From where on an item counts as a benchmark's: measured on the calibration half of `benchmarks.contamination`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.taxonomy import Modality


@dataclass(frozen=True, slots=True)
class ImageBounds:
    """Two pictures, one laid over the other, are one: at most `hamming` of 256 bits differ, detail correlates so."""

    hamming: int
    detail: float


STRICT: Final = ImageBounds(32, 0.905)
"""Modalities whose anatomy repeats: bent heads of the calibration half come to 0.85, the echo's own frames to 0.92."""

USUAL: Final = ImageBounds(32, 0.88)
"""The rest: two corners of one retina come to 0.879, a copy cropped by 3% to 0.88 at its worst."""


def _strict() -> dict[str, ImageBounds]:
    return dict.fromkeys((Modality.CT, Modality.XRAY, Modality.MRI, Modality.PET, Modality.ANGIOGRAPHY), STRICT)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Bounds of every measure; two things are held to be one where a score is at least its bound.

    Text (`likeness/wording.py`), as shares of the weight of a question: `proposed` is worth a full comparison; `asked`
    one passage must hold in any case. Then one of three convicts: `coverage`, the share in common runs of 5 tokens by
    count and by weight (Apertus asks 0.5 by count, which convicts templates); `whole` of question, options and
    answer together, with `own` of what the options do not say themselves; `fuzzy`, rapidfuzz's ratio of 0-100 (m1,
    OpenThoughts: 95), where `fuzzy_asked` is held. Pictures: `outline` is the cosine that proposes a pair; `images`
    has the bounds by modality and `usual` is for the others.
    """

    proposed: float = 0.4
    asked: float = 0.59
    coverage: float = 0.9
    whole: float = 0.6
    own: float = 0.1
    fuzzy: float = 95.0
    fuzzy_asked: float = 0.85
    outline: float = 0.7
    usual: ImageBounds = USUAL
    images: Mapping[str, ImageBounds] = field(default_factory=_strict)

    def of(self, *modalities: str | None) -> ImageBounds:
        """The strictest bounds of the modalities that the two sides name."""
        bounds = [self.images.get(modality, self.usual) for modality in modalities if modality] or [self.usual]
        return ImageBounds(min(b.hamming for b in bounds), max(b.detail for b in bounds))
