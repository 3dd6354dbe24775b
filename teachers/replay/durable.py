"""What it takes for bytes and names to survive a power loss, and the error when a disk refuses."""

import os
from pathlib import Path

from schemas.errors import CorpusError


def make_durable(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refused(path: Path, error: OSError) -> CorpusError:
    """The error to raise when a reply cannot be kept at `path`."""
    reason = error.strerror or str(error)
    return CorpusError(f"{path}: cannot keep a reply: {reason}; free space or fix permissions, then run again")


def unreadable(path: Path, error: OSError) -> CorpusError:
    """The error to raise when kept replies at `path` cannot be read."""
    reason = error.strerror or str(error)
    return CorpusError(f"{path}: cannot read kept replies: {reason}; fix the disk or permissions, then run again")
