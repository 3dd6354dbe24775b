"""Flips DICOM pictures that are stored mirrored or upside down to the convention of radiology."""

from typing import Any, Final

import numpy as np

from sources.render.dicom import Dataset, of_frame
from sources.render.encode import Pixels

CONVENTION: Final = {(0, 1): (1, 1), (0, 2): (1, -1), (1, 2): (1, -1)}
"""(axis along columns, axis along rows) -> wanted signs, in LPS (x left, y posterior, z head).

Axial: left on the right, posterior down. Coronal: left on the right, feet down. Sagittal: posterior on the
right, feet down. Other pairs (transposed slices) stay as stored.
"""

PROJECTIONS: Final = ("CR", "DX", "RG")
"""Radiographs shown facing the patient; mammograms have hanging protocols of their own."""


def upright(ds: Dataset, pixels: Pixels, frame: int = 0) -> Pixels:
    """Pixels flipped as ImageOrientationPatient, or a radiograph's PatientOrientation, says; PS3.3 C.7.6.1.1.1."""
    columns_flip, rows_flip = _by_cosines(ds, frame) or _by_letters(ds) or (False, False)
    if columns_flip:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if rows_flip else pixels


def _by_cosines(ds: Dataset, frame: int) -> tuple[bool, bool] | None:
    """What to flip by the direction cosines of the first row and column; None where there are none."""
    plane = of_frame(ds, frame, "PlaneOrientationSequence")
    cosines = (ds if plane is None else plane).get("ImageOrientationPatient")
    if cosines is None or len(cosines) != 6:
        return None
    values = [float(value) for value in cosines]
    along, down = values[:3], values[3:]
    axes = int(np.argmax(np.abs(along))), int(np.argmax(np.abs(down)))
    wanted = CONVENTION.get(axes)
    if wanted is None:
        return (False, False)
    return along[axes[0]] * wanted[0] < 0, down[axes[1]] * wanted[1] < 0


def _by_letters(ds: Dataset) -> tuple[bool, bool] | None:
    """What to flip by PatientOrientation of a frontal radiograph: columns run to the left, rows to the feet."""
    letters: Any = ds.get("PatientOrientation")
    if ds.get("Modality") not in PROJECTIONS or letters is None or len(letters) != 2:
        return None
    return str(letters[0]).startswith("R"), str(letters[1]).startswith("H")
