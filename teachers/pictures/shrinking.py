"""A picture made small enough for a teacher: aspect and format kept, metadata left out, the same bytes every time."""

import math
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

from schemas.errors import GenerationError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Mime = Literal["image/png", "image/jpeg"]

BROKEN: Final = "broken-picture"
"""The reason of a reject whose frame had to be shrunk and is no whole PNG or JPEG."""

TOO_LARGE: Final = "too-large-picture"
"""The reason of a reject whose frame has more pixels than anyone decodes: a decompression bomb."""

MAX_DECODED: Final = 100_000_000
"""Pixels of the largest picture that is decoded; the sources' renderers refuse at the same number."""

JPEG_QUALITY: Final = 90
"""As the sources' renderers encode, without chroma subsampling."""

PNG_LEVEL: Final = 6
"""zlib's level, 0 to 9, as the sources' renderers encode."""

GAP: Final = 3.0
"""How much larger than the result a cheap first step (JPEG's scaled decoding, a box filter) leaves the picture:
Pillow's documentation calls 3.0 "almost indistinguishable" from the plain filter."""


def shrink(data: bytes, mime: Mime, max_pixels: int) -> tuple[bytes, Mime]:
    """`data` with at most `max_pixels` pixels, turned as its EXIF says, without metadata; and its MIME type.

    A PNG stays a PNG unless that would make it larger than it came (a palette smoothed to full color) and
    it has no transparency. Raises GenerationError ("broken-picture", "too-large-picture").
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as picture:
            small = _resized(picture, max_pixels)
    except GenerationError:
        raise
    except Image.DecompressionBombError as error:
        raise GenerationError(TOO_LARGE, str(error)) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise GenerationError(BROKEN, f"{type(error).__name__}: not a whole {mime}, {len(data)} bytes") from None
    made = _encoded(small, mime)
    if mime == "image/jpeg" or len(made) <= len(data) or small.mode == "RGBA":
        return made, mime
    photograph = _encoded(small, "image/jpeg")
    return (photograph, "image/jpeg") if len(photograph) < len(made) else (made, mime)


def fitting(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The largest size of this aspect with at most `max_pixels` pixels; no side is below 1."""
    if width * height <= max_pixels:
        return width, height
    scale = math.sqrt(max_pixels / (width * height))
    small = max(1, int(width * scale)), max(1, int(height * scale))
    return min(small[0], max_pixels), min(small[1], max_pixels)


def _resized(picture: "Picture", max_pixels: int) -> "Picture":
    from PIL import Image, ImageOps

    if picture.width * picture.height > MAX_DECODED:
        raise GenerationError(TOO_LARGE, f"{picture.width} x {picture.height} pixels; at most {MAX_DECODED}")
    size = fitting(picture.width, picture.height, max_pixels)
    picture.draft(None, (int(size[0] * GAP), int(size[1] * GAP)))  # a JPEG is decoded at 1/2, 1/4 or 1/8
    plain = picture.convert(_mode(picture))
    small = plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=GAP)
    return ImageOps.exif_transpose(small)


def _mode(picture: "Picture") -> str:
    """The mode that keeps what the picture shows and that a filter can average."""
    if picture.mode in ("1", "L"):
        return "L"
    return "RGBA" if picture.has_transparency_data else "RGB"


def _encoded(picture: "Picture", mime: Mime) -> bytes:
    buffer = BytesIO()
    picture.info.clear()  # comments and profiles would be written again
    if mime == "image/png":
        picture.save(buffer, format="PNG", compress_level=PNG_LEVEL)
    else:
        picture.convert("RGB" if picture.mode == "RGBA" else picture.mode).save(
            buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0
        )
    return buffer.getvalue()
