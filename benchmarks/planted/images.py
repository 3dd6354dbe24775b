"""Planted pictures: medical and other pictures of this machine, changed copies, and look-alikes that are no copies."""

import importlib.util
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.planted.texts import dice
from sources.render.dicom import read, render_frames

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_CATALOG: Final = ROOT / "sources" / "catalog"
_VOLUME: Final = ROOT / "sources" / "data" / "colin27" / "ch2.nii.gz"

MODALITIES: Final = {"CR": "X-Ray", "DX": "X-Ray", "CT": "CT", "MR": "MRI", "US": "Ultrasound", "NM": "PET"}
PHOTOGRAPHS: Final = """
astronaut.png camera.png chelsea.png coffee.png coins.png moon.png page.png rocket.jpg hubble_deep_field.jpg
motorcycle_left.png cell.png microaneurysms.png phantom.png ihc.png retina.jpg grass.png gravel.png brick.png
"""
TILED: Final = {"ihc.png": "Histopathology", "retina.jpg": "Fundus", "page.png": "Digital Photograph"}
"""Cut into nine: what is planted of them are patches, some as look-alikes of the others."""

STEP: Final = 9
"""Millimetres between planted slices of the one real head. Slices nearer than about 3 mm look the same and come of the
same patient: they are a leak, by key where the key is known, and are planted neither as copies nor as look-alikes."""

PATIENTS: Final = 3
"""Other heads: there is one real one here, so these are it, bent by some 2.5 mm (a smooth field) and lit otherwise.
Real patients differ more: as look-alikes these are harder than life, as a count of patients they are no evidence."""

Picture = Image.Image


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture: `base` is the slice or photograph it was made of, `alike` that it is planted as a look-alike."""

    origin: str
    kind: str
    modality: str
    base: str
    picture: Picture
    alike: bool = False


def pictures() -> Iterator[Shown]:
    """Every picture of the planted set, in a fixed order."""
    yield from _slices()
    yield from _photographs()
    yield from _dicom()


@cache
def _head() -> NDArray[np.uint8]:
    """The Colin27 head, 0-255."""
    volume: Any = nibabel.load(_VOLUME)  # pyright: ignore[reportPrivateImportUsage]
    voxels = np.asarray(volume.dataobj, dtype=np.float32)
    return np.clip(voxels * 255 / np.percentile(voxels, 99.8), 0, 255).astype(np.uint8)


def _slices() -> Iterator[Shown]:
    head = _head()
    for axis, plane in enumerate(("sagittal", "coronal", "axial")):
        for at in range(20, head.shape[axis] - 25, STEP):
            pixels = np.ascontiguousarray(np.rot90(np.take(head, at, axis)))
            if (pixels > 40).mean() < 0.15:
                continue
            yield Shown(f"{plane}-{at}", "slice", "MRI", f"{plane}-{at}", Image.fromarray(pixels))
            for patient in range(1, PATIENTS + 1):
                other = Image.fromarray(bent(pixels, f"{plane}-{patient}-{at}"))
                yield Shown(f"{plane}-{at}-{patient}", "bent slice", "MRI", f"{plane}-{at}", other, patient > 1)


def bent(pixels: NDArray[np.uint8], name: str, reach: float = 2.5, coarse: int = 20) -> NDArray[np.uint8]:
    """Another head at the same level: moved by `reach` pixels (one deviation) over some `coarse`, lit otherwise."""
    height, width = pixels.shape
    rng = np.random.default_rng(dice("bent", name).getrandbits(64))

    def field(rows: int, columns: int) -> NDArray[np.float32]:
        grid = Image.fromarray(rng.normal(size=(rows, columns)).astype(np.float32))
        smooth = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        return smooth / smooth.std()

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y = np.clip(y + reach * field(height // coarse + 3, width // coarse + 3), 0, height - 1.01)
    x = np.clip(x + reach * field(height // coarse + 3, width // coarse + 3), 0, width - 1.01)
    y0, x0, source = y.astype(int), x.astype(int), pixels.astype(np.float32)
    fy, fx = y - y0, x - x0
    moved = (source[y0, x0] * (1 - fx) + source[y0, x0 + 1] * fx) * (1 - fy)
    moved += (source[y0 + 1, x0] * (1 - fx) + source[y0 + 1, x0 + 1] * fx) * fy
    lit = np.clip(moved / 255 * (1 + 0.1 * field(3, 3)), 0, 1) ** rng.uniform(0.85, 1.2)
    return (255 * lit).astype(np.uint8)


def _photographs() -> Iterator[Shown]:
    folder = _folder("skimage") / "data"
    for name in PHOTOGRAPHS.split():
        picture = Image.open(folder / name).convert("RGB")
        if name not in TILED:
            yield Shown(name, "photograph", "Digital Photograph", name, picture)
        else:
            yield from _tiles(Shown(name, "tile", TILED[name], name, picture), 3)


def _dicom() -> Iterator[Shown]:
    for catalog in ("pydicom-images", "dicom-cines"):
        for item in tomllib.loads((_CATALOG / f"{catalog}.toml").read_text())["items"]:
            module, _, path = item["file"].partition(":")
            ds: Any = read((_folder(module) / path).read_bytes())
            modality = MODALITIES.get(str(ds.get("Modality")), "unresolved")
            picture = Image.fromarray(next(iter(render_frames(ds, [0]))).pixels)
            shown = Shown(item["id"], "dicom", modality, item["id"], picture)
            if min(picture.size) > 900:
                yield from _tiles(shown, 2)
            elif item["id"] != "echo-30-frames":
                # that one and the echo of 120 frames are of one study
                yield shown


def _tiles(shown: Shown, num: int) -> Iterator[Shown]:
    width, height = (size // num for size in shown.picture.size)
    for k in range(num * num):
        left, top = k % num * width, k // num * height
        tile = shown.picture.crop((left, top, left + width, top + height))
        yield Shown(f"{shown.origin}-tile{k}", "tile", shown.modality, shown.base, tile, k % 3 == 2)


def _folder(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{module} is not installed: the planted pictures come of it; run `make env`")
    return Path(spec.origin).parent


def windowed(picture: Picture, low: float, high: float, power: float = 1.0) -> Picture:
    """Other window bounds, as shares of the range, and another curve."""
    values = np.asarray(picture, dtype=np.float32) / 255
    return Image.fromarray((255 * np.clip((values - low) / (high - low), 0, 1) ** power).astype(np.uint8))


def jpeg(picture: Picture, quality: int) -> bytes:
    """Encoded as JPEG."""
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def png(picture: Picture) -> bytes:
    """Encoded as PNG."""
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def cropped(picture: Picture, most: float, name: str) -> Picture:
    """Up to `most` of each side cut off, each by its own share."""
    rng = dice("crop", name)
    width, height = picture.size
    left, top, right, bottom = (rng.uniform(0.25 * most, most) for _ in range(4))
    return picture.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))


def _resized(picture: Picture, by: float) -> Picture:
    return picture.resize(tuple(max(48, int(side * by)) for side in picture.size), Image.Resampling.LANCZOS)


def _squared(picture: Picture, _: str = "") -> Picture:
    side = max(picture.size)
    square = Image.new(picture.mode, (side, side))
    square.paste(picture, tuple((side - own) // 2 for own in picture.size))
    return square


def _at_once(shown: Shown) -> bytes:
    picture = windowed(_resized(cropped(shown.picture, 0.04, shown.origin), 0.6), 0.02, 0.9, 0.9)
    return jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 60)


COPIES: Final[dict[str, Callable[[Shown], bytes]]] = {
    "exact": lambda s: png(s.picture),
    "resized": lambda s: png(_resized(s.picture, (0.5, 0.75, 1.5)[len(s.origin) % 3])),
    "JPEG 40-90": lambda s: jpeg(s.picture, dice("jpeg", s.origin).randint(40, 90)),
    "mirrored": lambda s: jpeg(s.picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85),
    "turned": lambda s: jpeg(s.picture.transpose(Image.Transpose.ROTATE_90), 85),
    "cropped to 3%": lambda s: jpeg(cropped(s.picture, 0.03, s.origin), 85),
    "cropped to 8%": lambda s: jpeg(cropped(s.picture, 0.08, s.origin), 85),
    "padded square": lambda s: jpeg(_squared(s.picture), 85),
    "other window": lambda s: png(windowed(s.picture, 0.08, 0.85)),
    "hard window": lambda s: png(windowed(s.picture, 0.0, 0.55, 0.8)),
    "all of it": _at_once,
}
"""Copies by what was done to them; the last two are the hard ones."""
