"""How frames travel to a teacher: inside the request or as files, shrunk once where they are larger than its budget."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pybase64

from schemas.ask import together
from schemas.errors import ConfigError
from schemas.pipeline import Pictures, Teacher
from schemas.record import Frame
from teachers.pictures.files import file_url
from teachers.pictures.shrinking import Mime, shrink
from teachers.policy import LOCAL, locality_of

MAX_KEPT: Final = 64 * 1024 * 1024
"""Bytes of URLs of shrunk frames that one teacher keeps: about 200 at a megapixel each."""

URL_BYTES: Final = 256
"""What a file URL, or a data URL without its picture, takes at most, in bytes (a guess that errs upward)."""

NUM_AT_ONCE: Final = max(1, min(4, os.cpu_count() or 1))
"""Frames that one teacher decodes side by side: at most 300 MB each, and cores for little more."""


def check_pictures(name: str, config: Teacher) -> None:
    """ConfigError for `file` where the server is on no disk of ours, or for a folder that nothing is put into."""
    pictures = config.pictures
    if pictures.send == "inline" and pictures.folder is not None:
        raise ConfigError(f'[teachers.{name}.pictures]: folder = {pictures.folder!r} is for send = "file"; remove one')
    locality = locality_of(name, config)
    if pictures.send == "file" and locality not in LOCAL:
        raise ConfigError(
            f'[teachers.{name}.pictures]: send = "file" is for a server on a shared disk, and the teacher has '
            f'locality = "{locality}"; remove send, or say locality = "loopback" or "cluster" if that is true'
        )


def data_url(data: bytes, mime: Mime) -> str:
    """The picture itself as a URL."""
    return f"data:{mime};base64,{pybase64.b64encode_as_string(data)}"


class PictureSender:
    """The frames of one teacher's requests as URLs; what is costly is done once and kept, bounded in bytes.

    `folder` is where `file` puts frames: the server must be allowed to read it (vLLM's
    --allowed-local-media-path). A clip goes as its frames, in order, as a volume does.
    """

    def __init__(self, config: Pictures, folder: Path) -> None:
        self._max_pixels = config.max_pixels
        self._folder = folder.resolve() if config.send == "file" else None
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._num_kept_bytes = 0
        self._making: dict[str, asyncio.Task[str]] = {}
        self._places = asyncio.Semaphore(NUM_AT_ONCE)

    def rule(self, frames: Sequence[Frame]) -> str:
        """What is done to the pixels of `frames`, for the request's key: "" when each goes as it is."""
        return f"max_pixels={self._max_pixels}" if any(map(self._is_large, frames)) else ""

    def size(self, frames: Sequence[Frame]) -> int:
        """Bytes that the URLs of `frames` take in a request: exact, or an upper guess before shrinking."""
        return sum(map(self._size, frames))

    async def urls(self, frames: Sequence[Frame]) -> list[str]:
        """A data: or file:// URL for each frame, in order.

        Raises GenerationError ("broken-picture", "too-large-picture") for a frame that has to be shrunk and
        cannot be, CorpusError when a file cannot be written.
        """
        if self._folder is None and not self.rule(frames):
            return [data_url(frame.data, frame.mime) for frame in frames]
        return await together([self._url(frame) for frame in frames])

    async def _url(self, frame: Frame) -> str:
        if self._folder is None and not self._is_large(frame):
            return data_url(frame.data, frame.mime)
        kept = self._kept.get(frame.sha256)
        if kept is not None:
            self._kept.move_to_end(frame.sha256)
            return kept
        making = self._making.get(frame.sha256)
        if making is None:
            making = self._making[frame.sha256] = asyncio.create_task(self._make_once(frame))
            making.add_done_callback(_note)
        return await asyncio.shield(making)  # one asker that gives up takes nobody along

    async def _make_once(self, frame: Frame) -> str:
        try:
            async with self._places:
                url = await asyncio.to_thread(self._make, frame)
            self._keep(frame.sha256, url)
            return url
        finally:
            del self._making[frame.sha256]

    def _make(self, frame: Frame) -> str:
        max_pixels = self._max_pixels if self._is_large(frame) else None
        if self._folder is not None:
            return file_url(self._folder, frame, max_pixels)
        assert max_pixels is not None  # others are never made
        return data_url(*shrink(frame.data, frame.mime, max_pixels))

    def _keep(self, sha256: str, url: str) -> None:
        self._kept[sha256] = url
        self._num_kept_bytes += len(url)
        while self._num_kept_bytes > MAX_KEPT:
            _, oldest = self._kept.popitem(last=False)
            self._num_kept_bytes -= len(oldest)

    def _is_large(self, frame: Frame) -> bool:
        return self._max_pixels is not None and frame.width * frame.height > self._max_pixels

    def _size(self, frame: Frame) -> int:
        if self._folder is not None:
            return URL_BYTES
        num_bytes = len(frame.data)
        if self._is_large(frame):
            kept = self._kept.get(frame.sha256)
            if kept is not None:
                return len(kept)
            # our quality may take three times theirs, and nothing takes more than raw color or a JPEG of noise
            raw = (self._max_pixels or 0) * (3 if frame.mime == "image/png" else 1)
            num_bytes = min(3 * num_bytes, raw)
        return URL_BYTES + (num_bytes + 2) // 3 * 4


def _note(task: asyncio.Task[str]) -> None:
    """Look at a failure that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()
