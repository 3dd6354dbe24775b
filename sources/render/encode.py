"""8-bit arrays to PNG or JPEG bytes: bounded size, aspect kept, the same bytes every time."""

from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.record import Frame
from sources.base import Refusal

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Pixels = NDArray[np.uint8]
"""(rows, columns) gray or (rows, columns, 3) RGB, 0-255."""

JPEG_QUALITY: Final = 90
MAX_PIXELS: Final = 100_000_000
"""More pixels than this in one picture are refused: a decompression bomb, or a slide for another shape."""


def encode(pixels: Pixels, max_side: int, mime: Literal["image/png", "image/jpeg"]) -> Frame:
    """A frame whose longest side is at most `max_side` pixels; smaller pictures are never enlarged."""
    picture = _shrink(Image.fromarray(np.ascontiguousarray(pixels)), max_side)
    buffer = BytesIO()
    if mime == "image/png":
        picture.save(buffer, format="PNG", compress_level=6)
    else:
        picture.save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return Frame(data=buffer.getvalue(), mime=mime, width=picture.width, height=picture.height)


def decode(data: bytes) -> Pixels:
    """An encoded picture as gray or RGB, turned as its EXIF says; Refusal where it cannot be decoded."""
    from PIL import ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(BytesIO(data))
        if picture.width * picture.height > MAX_PIXELS:
            raise Refusal("too-large", f"{picture.width} x {picture.height} pixels; at most {MAX_PIXELS}")
        turned = ImageOps.exif_transpose(picture)
        gray = turned.mode in ("1", "L")
        return np.asarray(turned.convert("L" if gray else "RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal("undecodable", f"{type(error).__name__}: not a whole picture") from None


def blank(pixels: Pixels, boxes: tuple[tuple[int, int, int, int], ...]) -> Pixels:
    """A copy with the boxes (left, top, right, bottom, in pixels) black."""
    out = pixels.copy()
    for left, top, right, bottom in boxes:
        out[top:bottom, left:right] = 0
    return out


def check_content(pixels: Pixels) -> None:
    """Refuse a picture without content: one value everywhere trains nothing and hides a decoding fault."""
    if pixels.size == 0 or int(pixels.max()) == int(pixels.min()):
        raise Refusal("constant-image", "every pixel has the same value")


def _shrink(picture: "Picture", max_side: int) -> "Picture":
    longest = max(picture.size)
    if longest <= max_side:
        return picture
    scale = max_side / longest
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)
