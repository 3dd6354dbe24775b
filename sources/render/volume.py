"""NIfTI volumes to slices in display orientation: LPS, so that the patient's right is on the image's left."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SourceError
from sources.base import Refusal
from sources.render.encode import Pixels

Plane = Literal["axial", "coronal", "sagittal"]

AXIS: Final[dict[Plane, int]] = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The array axis along a plane's normal, in LPS: x to the left, y to posterior, z to superior."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxels (x, y, z) with x growing to the patient's left, y to posterior, z to superior.

    `affine` maps voxel indices to millimetres in the same LPS axes.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in millimetres, (x, y, z)."""
        x, y, z = (float(size) for size in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def load(path: Path) -> Volume:
    """A 3-D NIfTI file in LPS order; scaling applied, oblique grids kept on their own axes.

    Raises SourceError for a file that is no NIfTI, Refusal for an affine that is singular.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.load(path)  # pyright: ignore[reportUnknownMemberType] # untyped **kwargs
        voxels = np.asanyarray(image.dataobj)
    except (ImageFileError, OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path.name}: not a readable NIfTI file ({type(error).__name__})") from None
    if voxels.ndim != 3:
        raise Refusal("not-a-volume", f"{voxels.ndim} dimensions, 3 expected")
    return to_lps(voxels, np.asarray(image.affine, np.float64))


def to_lps(voxels: NDArray[Any], affine: NDArray[np.float64]) -> Volume:
    """Axes permuted and flipped to LPS, no resampling. `affine` maps indices to RAS millimetres, as NIfTI does."""
    from nibabel import orientations

    if not np.all(np.isfinite(affine)) or abs(float(np.linalg.det(affine[:3, :3]))) < 1e-9:
        raise Refusal("singular-affine", "the file does not say where its voxels are")
    tools: Any = orientations
    transform = tools.ornt_transform(tools.io_orientation(affine), tools.axcodes2ornt("LPS"))
    moved = affine @ tools.inv_ornt_aff(transform, voxels.shape)
    ras_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    return Volume(np.asarray(tools.apply_orientation(voxels, transform)), ras_to_lps @ moved)


def resample_labels(labels: Volume, target: Volume) -> NDArray[Any]:
    """The label map on `target`'s grid through both affines, nearest neighbour; 0 outside."""
    matrix = np.linalg.inv(labels.affine) @ target.affine
    shape = target.voxels.shape
    out = np.zeros(shape, labels.voxels.dtype)
    plane = np.indices(shape[:2]).reshape(2, -1)
    for z in range(shape[2]):
        points = np.vstack([plane, np.full((1, plane.shape[1]), z)])
        index = np.rint(matrix[:3, :3] @ points + matrix[:3, 3:]).astype(np.intp)
        inside = np.all((index >= 0) & (index < np.array(labels.voxels.shape)[:, None]), axis=0)
        out[plane[0, inside], plane[1, inside], z] = labels.voxels[tuple(index[:, inside])]
    return out


def slice_of(voxels: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
    """(rows, columns) as a radiologist sees it.

    Axial: anterior up, right on the left. Coronal: head up, right on the left. Sagittal: head up,
    anterior on the left.
    """
    cut = np.take(voxels, index, axis=AXIS[plane]).T
    return cut if plane == "axial" else cut[::-1]


def position(volume: Volume, plane: Plane, index: int) -> float:
    """Millimetres of a slice along its normal, from the affine's origin, in LPS."""
    axis = AXIS[plane]
    point = np.zeros(4)
    point[axis], point[3] = index, 1.0
    normal = volume.affine[:3, axis] / np.linalg.norm(volume.affine[:3, axis])
    return round(float(normal @ (volume.affine @ point)[:3]), 3)


def key_slices(mask: NDArray[np.bool_], plane: Plane, num_slices: int) -> list[int]:
    """At most `num_slices` indices, evenly placed over the middle of what the mask covers, ascending.

    Placed at quantiles of the mask's mass (1/2n, 3/2n, ...), so that every slice shows some of it.
    """
    axes = tuple(axis for axis in range(3) if axis != AXIS[plane])
    mass = np.cumsum(mask.sum(axis=axes))
    if mass[-1] == 0:
        raise Refusal("empty-region", "no voxel of the regions lies on the volume's grid")
    marks = (np.arange(num_slices) + 0.5) / num_slices * mass[-1]
    return sorted({int((mass < mark).sum()) for mark in marks})


def box(mask: NDArray[np.bool_], spacing: tuple[float, float, float], margin_mm: float) -> list[slice]:
    """The slices (x, y, z) that hold all of the mask and `margin_mm` around it, inside the grid."""
    found: list[slice] = []
    for axis, size in enumerate(spacing):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        if inside.size == 0:
            raise Refusal("empty-region", "no voxel of the regions lies on the volume's grid")
        more = round(margin_mm / size)
        found.append(slice(max(0, int(inside[0]) - more), int(inside[-1]) + more + 1))
    return found


def to_pixels(cut: NDArray[Any], bounds: tuple[float, float], spacing: tuple[float, float]) -> Pixels:
    """A slice as 8-bit gray with square pixels; `spacing` is (row, column) in millimetres."""
    from PIL import Image

    from sources.render.windows import apply_bounds

    gray = np.rint(apply_bounds(cut.astype(np.float64), bounds) * 255).astype(np.uint8)
    smallest = min(spacing)
    rows = round(gray.shape[0] * spacing[0] / smallest)
    columns = round(gray.shape[1] * spacing[1] / smallest)
    if (rows, columns) == gray.shape:
        return gray
    return np.asarray(Image.fromarray(gray).resize((columns, rows), Image.Resampling.BILINEAR))
