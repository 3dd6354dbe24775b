"""DICOM to 8-bit pixels, in the one right order.

Decode -> modality LUT or rescale -> window -> invert MONOCHROME1 -> 8 bit; color is brought to RGB.
PS3.3 C.7.6.3 and C.11; behavior of pydicom 3.0.2 checked: none of its steps inverts MONOCHROME1.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sources.base import Refusal
from sources.render.encode import MAX_PIXELS, Pixels, check_content
from sources.render.windows import (
    PERCENTILE,
    PRESETS,
    apply_bounds,
    apply_window,
    percentile_bounds,
    preset,
)

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

Dataset = Any
"""pydicom's attributes carry no types; this is the untyped edge."""

GRAY: Final = ("MONOCHROME1", "MONOCHROME2")
COLOR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True, slots=True)
class Rendered:
    """An 8-bit picture and the name of the window that made it; None where there was nothing to window."""

    pixels: Pixels
    window: str | None


def read(data: bytes) -> "FileDataset":
    """The data set in a file's bytes; Refusal where it is no DICOM file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        return pydicom.dcmread(BytesIO(data))  # pyright: ignore[reportUnknownMemberType] # PathLike[Unknown]
    except (InvalidDicomError, EOFError, ValueError, KeyError, OSError) as error:
        raise Refusal("not-dicom", type(error).__name__) from None


def render(ds: Dataset, frame: int | None = None, window: str | None = None) -> Rendered:
    """One frame as 8-bit gray or RGB.

    `window` names a preset of `windows.PRESETS`; without it CT gets its body part's preset, anything else
    the header's VOI LUT or window, else percentiles. Fails closed: Refusal for an unknown photometric
    interpretation, a size that contradicts the header, a missing decoder, a picture without content.
    """
    rendered = next(iter(render_frames(ds, [frame or 0], window)))
    check_content(rendered.pixels)
    return rendered


def render_frames(ds: Dataset, indices: list[int], window: str | None = None) -> list[Rendered]:
    """Several frames, decoding only those asked for; gray ones share one window where none is given."""
    photometric = str(ds.get("PhotometricInterpretation", ""))
    if photometric not in (*GRAY, *COLOR, "PALETTE COLOR"):
        raise Refusal("unknown-photometric", photometric or "missing")
    arrays = _decode(ds, indices)
    if photometric in GRAY:
        return _gray(ds, arrays, indices, window)
    if photometric == "PALETTE COLOR":
        return [Rendered(_palette(ds, array), None) for array in arrays]
    return [Rendered(_eight_bits(array, int(ds.BitsStored)), None) for array in arrays]


def num_frames(ds: Dataset) -> int:
    """How many frames the header announces; 1 for a single image."""
    return int(ds.get("NumberOfFrames") or 1)


def _decode(ds: Dataset, indices: list[int]) -> list[NDArray[Any]]:
    """Decoded frames in RGB or stored values; size checked against the header."""
    from pydicom.pixels.utils import iter_pixels

    rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
    if not 0 < rows * columns <= MAX_PIXELS:
        raise Refusal("absurd-size", f"{rows} x {columns}")
    if "PixelData" not in ds:
        raise Refusal("no-pixel-data", "the file has a header only")
    try:
        arrays = list(iter_pixels(ds, indices=indices))
    except (RuntimeError, NotImplementedError) as error:
        raise Refusal("no-decoder", _first_line(error)) from None
    except (AttributeError, ValueError, IndexError, EOFError, OSError, KeyError) as error:
        raise Refusal("undecodable", _first_line(error)) from None
    if len(arrays) != len(indices) or any(array.shape[:2] != (rows, columns) for array in arrays):
        raise Refusal("size-mismatch", f"header says {rows} x {columns}, frames {len(indices)}")
    return arrays


def _gray(ds: Dataset, arrays: list[NDArray[Any]], indices: list[int], window: str | None) -> list[Rendered]:
    values = [_rescale(ds, array, index) for array, index in zip(arrays, indices, strict=True)]
    padding = [_padding(ds, array) for array in arrays]
    scaled, name = _windowed(ds, values, padding, window)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        scaled = [1.0 - value for value in scaled]
    for value, mask in zip(scaled, padding, strict=True):
        value[mask] = 0.0
    return [Rendered(np.rint(value * 255).astype(np.uint8), name) for value in scaled]


def _windowed(
    ds: Dataset, values: list[NDArray[np.float64]], padding: list[NDArray[np.bool_]], window: str | None
) -> tuple[list[NDArray[np.float64]], str]:
    """Values of the frames as 0-1 and the window's name."""
    if window is not None or _is_hounsfield(ds):
        chosen = PRESETS[window] if window else preset(str(ds.get("BodyPartExamined", "")))
        return [apply_window(value, chosen) for value in values], str(chosen)
    if "VOILUTSequence" in ds or ("WindowCenter" in ds and "WindowWidth" in ds):
        return _voi(ds, values)
    kept = np.concatenate([value[~mask] for value, mask in zip(values, padding, strict=True)])
    if kept.size == 0:
        raise Refusal("constant-image", "every pixel is padding")
    bounds = percentile_bounds(kept)
    return [apply_bounds(value, bounds) for value in values], PERCENTILE


def _voi(ds: Dataset, values: list[NDArray[np.float64]]) -> tuple[list[NDArray[np.float64]], str]:
    """The header's own VOI LUT, or the first of its windows with its VOI LUT function."""
    from pydicom.pixels.processing import apply_voi_lut

    if "VOILUTSequence" in ds:
        whole = [np.asarray(apply_voi_lut(value.astype(np.int64), ds), np.float64) for value in values]
        top = float((1 << int(ds.VOILUTSequence[0].LUTDescriptor[2])) - 1)
        return [np.clip(value / top, 0.0, 1.0) for value in whole], "VOI LUT"
    center, width = (float(_first(ds[key].value)) for key in ("WindowCenter", "WindowWidth"))
    function = str(ds.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        scaled = [1.0 / (1.0 + np.exp(-4.0 * (value - center) / width)) for value in values]
    elif function == "LINEAR_EXACT":
        scaled = [apply_bounds(value, (center - width / 2, center + width / 2)) for value in values]
    else:
        low = center - 0.5 - (width - 1) / 2
        scaled = [apply_bounds(value, (low, low + max(width - 1, 1e-9))) for value in values]
    return scaled, f"header {width:g}/{center:g}"


def _rescale(ds: Dataset, array: NDArray[Any], index: int) -> NDArray[np.float64]:
    """Stored values to real ones: Modality LUT Sequence, else slope and intercept (of the frame if it has own)."""
    from pydicom.pixels.processing import apply_modality_lut

    if "ModalityLUTSequence" in ds:
        return np.asarray(apply_modality_lut(array, ds), np.float64)
    source = of_frame(ds, index, "PixelValueTransformationSequence") or ds
    slope = source.get("RescaleSlope")
    intercept = source.get("RescaleIntercept")
    values = array.astype(np.float64)
    return values * float(1 if slope is None else slope) + float(0 if intercept is None else intercept)


def of_frame(ds: Dataset, index: int, sequence: str) -> Dataset | None:
    """The item of an enhanced image's functional group, the frame's own before the shared one."""
    groups: list[Any] = []
    if "PerFrameFunctionalGroupsSequence" in ds and index < len(ds.PerFrameFunctionalGroupsSequence):
        groups.append(ds.PerFrameFunctionalGroupsSequence[index])
    groups.extend(ds.get("SharedFunctionalGroupsSequence") or ())
    return next((group[sequence].value[0] for group in groups if group.get(sequence)), None)


def _padding(ds: Dataset, array: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that are no picture: PixelPaddingValue (0028,0120), up to its range limit where there is one."""
    value = ds.get("PixelPaddingValue")
    if value is None:
        return np.zeros(array.shape, np.bool_)
    limit = ds.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    return (array >= low) & (array <= high)


def _is_hounsfield(ds: Dataset) -> bool:
    """Whether values are CT numbers; derived maps (perfusion, ...) and localizers are not."""
    kinds = [str(kind).upper() for kind in ds.get("ImageType") or ()]
    rescaled = str(ds.get("RescaleType") or "HU").upper() in ("HU", "US")
    return ds.get("Modality") == "CT" and rescaled and not {"PERFUSION", "LOCALIZER"} & set(kinds)


def _palette(ds: Dataset, array: NDArray[Any]) -> Pixels:
    from pydicom.pixels.processing import apply_color_lut

    try:
        colored = apply_color_lut(array, ds)
    except (AttributeError, ValueError, KeyError) as error:
        raise Refusal("bad-palette", _first_line(error)) from None
    return _eight_bits(colored[..., :3], 8 * colored.dtype.itemsize)


def _eight_bits(array: NDArray[Any], bits: int) -> Pixels:
    """Color of any depth to 8 bit, by its leading bits."""
    if array.dtype == np.uint8:
        return array
    return (array >> max(bits - 8, 0)).astype(np.uint8)


def _first(value: Any) -> Any:
    """The first of a value that may be several."""
    return value if isinstance(value, (int, float, str)) else value[0]


def _first_line(error: Exception) -> str:
    """What a decoder said, short; its messages name transfer syntaxes and plugins, never patients."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
