"""What a picture looks like: a small gray view, a perceptual hash of it, and how well two views agree in detail.

A view is (64, 64) float32, 0-255. The hash is built as PDQ is (the signs of 16 x 16 low DCT coefficients against
their median, 256 bits; Facebook's ThreatExchange, 2019); pdqhash itself has no wheels. Normal anatomy of
two patients comes within 26 bits, so a hash only proposes: what decides is the correlation of fine detail.
"""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from schemas.errors import CorpusError

View = NDArray[np.float32]

SIDE: Final = 64
_WORKING: Final = 256
"""Pixels of the short side that decoding keeps: JPEG is decoded at that scale at once."""

_BORDER: Final = 16
_SHARE: Final = 0.02
"""A border ends where 2% of a line differ from its gray by 16 of 255: more than JPEG of quality 40 does to it."""

_LOW: Final = 8
OUTLINE: Final = _LOW * _LOW
"""Numbers in an outline."""

_BASIS: Final = np.array([np.cos(np.pi * k * (np.arange(SIDE) + 0.5) / SIDE) for k in range(17)], dtype=np.float32)
_GAIN: Final = (np.hypot(*np.mgrid[0:_LOW, 0:_LOW]) + 0.5).astype(np.float32)
"""Natural pictures' amplitudes fall as 1/frequency: this makes the coefficients weigh alike."""


@dataclass(frozen=True)
class Look:
    """One picture: the whole of it, and without its even border where it has one."""

    whole: View
    trimmed: View | None

    @property
    def views(self) -> tuple[View, ...]:
        """The views to compare by."""
        return (self.whole,) if self.trimmed is None else (self.whole, self.trimmed)

    @cached_property
    def hash(self) -> NDArray[np.uint16]:
        """The whole view's hash, (16,)."""
        return hash_of(self.whole)


def look(data: bytes, where: str) -> Look:
    """Decode a picture; CorpusError naming `where` it is if it is none."""
    try:
        with Image.open(BytesIO(data)) as image:
            image.draft(None, (_WORKING, _WORKING))
            if (by := min(image.size) // _WORKING) > 1 and image.mode in ("L", "RGB"):
                image = image.reduce(by)
            gray = image.convert("L")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CorpusError(f"{where}: a picture of {len(data)} bytes cannot be decoded ({error}); replace it") from None
    box = _content(gray)
    return Look(_view(gray), None if box is None else _view(gray.crop(box)))


def _view(gray: Image.Image) -> View:
    way = Image.Resampling.BOX if min(gray.size) >= 2 * SIDE else Image.Resampling.BILINEAR
    return np.asarray(gray.resize((SIDE, SIDE), way), dtype=np.float32)


def _content(gray: Image.Image) -> tuple[int, int, int, int] | None:
    """The box inside an even border, None where there is none worth cutting or hardly anything inside."""
    small = np.asarray(gray.resize((128, 128), Image.Resampling.BOX), dtype=np.int16)
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    other = np.abs(small - np.median(edge)) > _BORDER
    columns, rows = (np.flatnonzero(other.mean(axis) > _SHARE) for axis in (0, 1))
    if min(len(columns), len(rows)) < 40 or min(len(columns), len(rows)) > 124:
        return None
    width, height = gray.size
    left, right = columns[0] * width // 128, -(-(columns[-1] + 1) * width // 128)
    top, bottom = rows[0] * height // 128, -(-(rows[-1] + 1) * height // 128)
    return int(left), int(top), int(right), int(bottom)


def hash_of(view: View) -> NDArray[np.uint16]:
    """256 bits as 16 numbers of 16, (16,)."""
    low = _BASIS[1:] @ view @ _BASIS[1:].T
    return np.packbits(low > np.median(low)).view(np.uint16)


def distance(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Bits that differ; broadcasts over leading axes."""
    return np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64)


def outline(view: View) -> NDArray[np.float32]:
    """The picture's coarse shape as a unit vector, (64,): cosines of pictures cropped by a few percent stay high."""
    low = (_BASIS[:_LOW] @ (view - view.mean()) @ _BASIS[:_LOW].T) * _GAIN
    low[0, 0] = 0
    return (low / (np.linalg.norm(low) + 1e-6)).ravel()


def blurred(view: View, reach: int) -> View:
    """The mean over a square of 2 `reach` + 1 pixels, edges repeated."""
    total = np.pad(view, reach, mode="edge").cumsum(0, dtype=np.float64).cumsum(1)
    total = np.pad(total, ((1, 0), (1, 0)))
    n = 2 * reach + 1
    return ((total[n:, n:] - total[:-n, n:] - total[n:, :-n] + total[:-n, :-n]) / (n * n)).astype(np.float32)


def agreement(one: View, other: View, where: NDArray[np.bool_] | None = None) -> float:
    """Zero-mean normalized correlation of what is finer than 9 of 64 pixels, -1 to 1; 0 where there is no detail."""
    a, b = one - blurred(one, 4), other - blurred(other, 4)
    if where is not None:
        a, b = a[where], b[where]
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 1.0 else 0.0


def turned(view: View) -> list[View]:
    """The view as it is, mirrored, and both in every quarter turn: 8."""
    return [np.rot90(v, k) for v in (view, view[:, ::-1]) for k in range(4)]
