"""Sealed segments: whole lines cut from a file on their way to the mirror, and fetched back from it."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from teachers.replay.durable import refused
from teachers.replay.holdings import is_held, spans_below
from teachers.replay.names import PARTIAL, Span, block_of, new_writer, segment_name

if TYPE_CHECKING:
    from teachers.replay.store import Store

FETCHES: Final = 8
"""Segments fetched side by side when a block is opened."""


def fetch_lacking(store: "Store", folder: Path) -> list[Span]:
    """Bring the segments that a block's folder lacks into it; every segment of the block.

    Raises OSError when the store is away, CorpusError when this disk refuses.
    """
    block = block_of(folder)
    segments = store.segments(block)
    held = spans_below(folder)
    lacking = [span for span in segments if not is_held(span, held)]
    with ThreadPoolExecutor(FETCHES, "reply-fetch") as pool:
        for span, data in zip(lacking, pool.map(partial(store.get, block), lacking), strict=True):
            _keep(folder, span, data)
    return segments


def whole_lines(path: Path, start: int, num_bytes: int) -> bytes:
    """About so many bytes from `start` on, up to the end of a line; one line at least, if there is one."""
    with path.open("rb") as file:
        data = os.pread(file.fileno(), num_bytes, start)
        while data and b"\n" not in data:
            more = os.pread(file.fileno(), num_bytes, start + len(data))
            if not more:
                return b""
            data += more
    return data[: data.rindex(b"\n") + 1] if data else b""


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _keep(folder: Path, span: Span, data: bytes) -> None:
    """Put a fetched segment into a block's folder, whole or not at all."""
    path = folder / segment_name(span)
    staged = path.with_name(f"{new_writer()}{PARTIAL}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(data)
        staged.replace(path)
    except OSError as error:
        with suppress(OSError):
            staged.unlink()
        raise refused(path, error) from error
