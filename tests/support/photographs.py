"""Pictures that a codec has to work for, as the frames they would be."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from schemas.record import Frame


def photograph(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """Smooth blobs with sensor noise on them."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8))
    pixels = np.asarray(blobs.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(pixels + rng.integers(-4, 5, pixels.shape, dtype=np.int16), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy).convert(mode)


def frame_of(picture: Image.Image, format: str = "JPEG", **saving: Any) -> Frame:
    """The picture as a frame, encoded as JPEG or PNG."""
    buffer = BytesIO()
    picture.save(buffer, format=format, **saving)
    mime = "image/png" if format == "PNG" else "image/jpeg"
    return Frame(buffer.getvalue(), mime, picture.width, picture.height)


def opened(data: bytes) -> Image.Image:
    """The whole picture in some bytes."""
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture
