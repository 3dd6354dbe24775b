"""A corpus folder on this disk: fsync, rename and hard links make each step whole or absent."""

import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from corpus.layout import STAGING
from corpus.store.files import Found, LocalFiles


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


def _is(path: Path, found: Found) -> bool:
    stat = path.stat()
    return (stat.st_mtime, stat.st_size) == (found.modified, found.bytes)


class LocalStore(LocalFiles):
    """A corpus folder; see `corpus.store.writing.Store`."""

    def __init__(self, root: "str | os.PathLike[str]", scratch: Path | None = None) -> None:
        super().__init__(root)
        self._scratch = scratch or self.root / STAGING

    @property
    def scratch(self) -> Path:
        """`staging/` of the corpus, unless another folder of the same disk was given."""
        return self._scratch

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Whole small files, one after the other."""
        return map(self.read, paths)

    def publish(self, staged: Path, path: str) -> None:
        """Rename a durable file into place."""
        final = self.root / path
        make_folder(final.parent)
        staged.rename(final)
        sync(final.parent)

    def create(self, path: str, data: bytes) -> bool:
        """Write aside, then hard-link: the link fails where the name exists."""
        final, staged = self.root / path, self._aside()
        try:
            write_file(staged, data)
            make_folder(final.parent)
            final.hardlink_to(staged)
        except FileExistsError:
            return False
        finally:
            staged.unlink(missing_ok=True)
        sync(final.parent)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write aside, then rename over the old file."""
        final, staged = self.root / path, self._aside()
        make_folder(final.parent)
        try:
            write_file(staged, data)
            staged.replace(final)
        finally:
            staged.unlink(missing_ok=True)
        sync(final.parent)

    def remove(self, path: str) -> None:
        """Unlink a file; none is no error."""
        (self.root / path).unlink(missing_ok=True)

    def remove_unchanged(self, found: Found) -> bool:
        """Move the file aside, look again, and put back what has been published anew meanwhile."""
        path, aside = self.root / found.path, self._aside()
        try:
            if not _is(path, found):
                return False
            path.rename(aside)
        except FileNotFoundError:
            return False
        if not _is(aside, found):
            aside.rename(path)
            return False
        aside.unlink()
        return True

    def _aside(self) -> Path:
        make_folder(self._scratch)
        return self._scratch / f"aside-{os.getpid()}-{uuid.uuid4().hex}"
