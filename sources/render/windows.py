"""CT windows by body part and percentile windows for what has no absolute units."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.5, 99.5
PERCENTILE: Final = f"percentile {LOW}-{HIGH}"


@dataclass(frozen=True, slots=True)
class Window:
    """A CT display window: width and center in Hounsfield units."""

    name: str
    width: float
    center: float

    def __str__(self) -> str:
        return f"{self.name} {self.width:g}/{self.center:g}"


PRESETS: Final = {
    window.name: window
    for window in (
        Window("lung", 1500, -600),
        Window("soft tissue", 400, 40),
        Window("abdomen", 400, 50),
        Window("liver", 150, 30),
        Window("bone", 1800, 400),
        Window("brain", 80, 40),
        Window("spine", 250, 50),
        Window("angiography", 600, 200),
    )
}
"""Width/center in HU: standard radiology values, as collected in the project's reference notes (3.2)."""

BY_BODY_PART: Final = {
    "CHEST": "lung", "LUNG": "lung", "BRAIN": "brain", "HEAD": "brain", "NECK": "soft tissue",
    "HEADNECK": "soft tissue", "ABDOMEN": "abdomen", "PANCREAS": "abdomen", "KIDNEY": "abdomen",
    "LIVER": "liver", "PELVIS": "soft tissue", "SPINE": "spine", "CSPINE": "spine", "TSPINE": "spine",
    "LSPINE": "spine", "EXTREMITY": "bone", "KNEE": "bone", "HIP": "bone", "SHOULDER": "bone",
    "WRIST": "bone", "ANKLE": "bone", "FOOT": "bone", "HAND": "bone", "SKULL": "bone", "JAW": "bone",
}  # fmt: skip
"""DICOM body part -> preset; what is not listed gets soft tissue."""


def preset(body_part: str) -> Window:
    """The CT window for a DICOM body part."""
    key = "".join(body_part.upper().split())
    return PRESETS[BY_BODY_PART.get(key, "soft tissue")]


def apply_window(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """Values in HU to 0-1, by PS3.3 C.11.2.1.2.1 (LINEAR): center - 0.5, width - 1."""
    return np.clip((values - (window.center - 0.5)) / (window.width - 1) + 0.5, 0.0, 1.0)


def percentile_bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """The values at the 0.5th and 99.5th percentile; the extremes where those coincide."""
    low, high = (float(bound) for bound in np.percentile(values, (LOW, HIGH)))
    return (low, high) if high > low else (float(values.min()), float(values.max()))


def apply_bounds(values: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    """Values to 0-1 between two bounds; all 0 where the bounds coincide."""
    low, high = bounds
    return np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(values)
