"""The few disk operations that make a commit atomic; the one place that a bucket would replace."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schemas.errors import CorpusError

REASONS: Final = {
    errno.EACCES: "this user may not write there; give it the right to, or choose another corpus folder",
    errno.EPERM: "this user may not write there; give it the right to, or choose another corpus folder",
    errno.EROFS: "the disk is mounted read-only; mount it writable, or choose another corpus folder",
    errno.ENOSPC: "the disk is full; free some space and run again (what is committed is kept)",
    errno.EDQUOT: "the disk quota is used up; free some space and run again (what is committed is kept)",
    errno.EFBIG: "the file would pass the size limit of this process or disk; raise it and run again",
    errno.ENOTDIR: "part of the path is a file, not a folder; choose another corpus folder",
    errno.EEXIST: "part of the path is a file, not a folder; choose another corpus folder",
    errno.ENOTSUP: "the disk cannot make hard links, which commits need; choose another corpus folder",
    errno.EMLINK: "the disk cannot make hard links, which commits need; choose another corpus folder",
}


@contextmanager
def writing(root: Path) -> Generator[None, None, None]:
    """Turn an OSError of the body into a CorpusError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        where = error.filename if isinstance(error.filename, str) else str(root)
        raise CorpusError(f"cannot write to the corpus at {root}: {where}: {reason}") from error


def sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole new file and make its bytes durable (its name is not yet)."""
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def publish(staged: Path, final: Path) -> None:
    """Give a durable staged file its content-hashed name; the same content may be there already."""
    make_folder(final.parent)
    staged.rename(final)
    sync(final.parent)


def create_if_absent(staged: Path, final: Path) -> bool:
    """Publish a durable staged file under a name that only one can take; False where it was taken."""
    make_folder(final.parent)
    try:
        final.hardlink_to(staged)
    except FileExistsError:
        return False
    sync(final.parent)
    return True


def create_folder_if_absent(staged: Path, final: Path) -> bool:
    """Publish a staged, never empty folder under a name that only one can take; False where taken."""
    make_folder(final.parent)
    sync(staged)
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    sync(final.parent)
    return True


def replace(staged: Path, final: Path, data: bytes) -> None:
    """Put `data` at `final` in one step: a reader sees the old bytes or the new ones."""
    make_folder(final.parent)
    write_file(staged, data)
    staged.replace(final)
    sync(final.parent)
