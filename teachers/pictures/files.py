"""Frames as files on a disk that the server reads too: each written once, named by its bytes and nothing else."""

import contextlib
import secrets
from pathlib import Path
from typing import Final

from schemas.errors import CorpusError
from schemas.record import Frame
from teachers.pictures.shrinking import Mime, shrink

ENDINGS: Final[dict[Mime, str]] = {"image/png": "png", "image/jpeg": "jpg"}


def file_url(folder: Path, frame: Frame, max_pixels: int | None) -> str:
    """The URL of the frame's file below `folder`, written now unless it is there; shrunk to `max_pixels`.

    Its name is the hash of the frame's bytes and the budget, nothing else. Raises GenerationError as
    `shrink` does, CorpusError when the file cannot be written. Any number of processes may do it at once.
    """
    stem = frame.sha256 if max_pixels is None else f"{frame.sha256}-{max_pixels}px"
    place = folder / stem[:2]
    mimes = ENDINGS if max_pixels else (frame.mime,)
    for path in (place / f"{stem}.{ENDINGS[mime]}" for mime in mimes):
        if _is_whole(path, None if max_pixels else len(frame.data)):
            return path.as_uri()
    data, mime = shrink(frame.data, frame.mime, max_pixels) if max_pixels else (frame.data, frame.mime)
    path = place / f"{stem}.{ENDINGS[mime]}"
    _write(path, data)
    return path.as_uri()


def _is_whole(path: Path, num_bytes: int | None) -> bool:
    """Whether a file is there; one that a power loss emptied or cut is not."""
    try:
        found = path.stat().st_size
    except OSError:
        return False
    return found == num_bytes if num_bytes is not None else found > 0


def _write(path: Path, data: bytes) -> None:
    staged = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(data)  # readable as the umask says: the server may be another user
        staged.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink()
        raise CorpusError(
            f"{path.parent}: a frame cannot be written: {error.strerror or error}; make room or give another folder in "
            "[teachers.NAME.pictures]"
        ) from None
