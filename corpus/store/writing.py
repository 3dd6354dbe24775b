"""What writing a corpus asks of the place where it is, and how such a place is opened."""

import errno
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from corpus.store.files import Files, Found
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


class Store(Files, Protocol):
    """A place that holds a corpus: whole files appear at once, and one name can be taken once.

    Every method raises OSError. Paths are relative and POSIX.
    """

    @property
    def scratch(self) -> Path:
        """A folder on this disk for unfinished work; `publish` takes files from it."""
        ...

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Whole small files, in the order asked for; several at once where that is faster."""
        ...

    def publish(self, staged: Path, path: str) -> None:
        """Give a finished file of `scratch` its content-hashed name; the same content may be there already."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Write a file under a name that only one can take; False where it was taken."""
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Put `data` at `path` in one step: a reader sees the old bytes or the new ones."""
        ...

    def remove(self, path: str) -> None:
        """Take a file away; none is no error."""
        ...

    def remove_unchanged(self, found: Found) -> bool:
        """Take a file away if it is still the very one that `list` found; False where it is another by now."""
        ...


def store_of(where: "Store | str | os.PathLike[str]", scratch: Path | None = None) -> Store:
    """The store of a folder or of a URL such as `s3://bucket/prefix`; a store is itself.

    `scratch` is where unfinished work goes; None: `staging/` of a local corpus, else a temporary folder.
    Raises ConfigError for a URL that names no store.
    """
    if not isinstance(where, str | os.PathLike):
        return where
    text = os.fspath(where)
    if "://" in text and not text.startswith("file://"):
        from corpus.store.bucket import BucketStore

        return BucketStore(text, scratch)
    from corpus.store.local import LocalStore

    return LocalStore(text.removeprefix("file://"), scratch)


@contextmanager
def writing(url: str) -> Generator[None, None, None]:
    """Turn an OSError of the body into a CorpusError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        where = error.filename if isinstance(error.filename, str) else url
        raise CorpusError(f"cannot write to the corpus at {url}: {where}: {reason}") from error
