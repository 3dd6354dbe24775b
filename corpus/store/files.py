"""Reading a corpus's files by relative path: whole, or a byte range as an Arrow buffer."""

import os
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa  # 0.1 s, which a run with nothing to do does not pay

MAX_MAPS: Final = 1024
"""Files that stay mapped; Linux allows a process 65,530 mappings (vm.max_map_count)."""

TOUCHED: Final[set[tuple[str, str, int]]] = set()
"""(corpus, file, offset) of the ranges whose checksum this process has found right."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the corpus: `path` is relative, `modified` is in seconds since 1970."""

    path: str
    bytes: int
    modified: float


class Files(Protocol):
    """A corpus's files, read-only. Every method raises OSError (FileNotFoundError where there is none)."""

    @property
    def url(self) -> str:
        """The corpus as a person names it: a folder, or `s3://bucket/prefix`."""
        ...

    def read(self, path: str) -> bytes:
        """A whole file."""
        ...

    def size(self, path: str) -> int:
        """A file's length in bytes."""
        ...

    def list(self, prefix: str) -> list[Found]:
        """Every file below a folder (`"commits"`), in path order; none is no error."""
        ...

    def buffer(self, path: str, offset: int, length: int) -> "pa.Buffer":
        """A byte range; shorter where the file ends before. On a local disk it is mapped, not copied."""
        ...


@runtime_checkable
class Cached(Protocol):
    """Files that keep copies of ranges, which can go bad by themselves."""

    def forget(self, path: str, offset: int, length: int) -> None:
        """Throw a range's copy away, so that it is fetched again."""
        ...


def checked(files: Files, path: str, offset: int, length: int, crc32: int) -> "pa.Buffer":
    """A byte range that is what was committed; its checksum is computed when this process first touches it.

    A copy that went bad in a cache is fetched again, once. Raises OSError, and ValueError (the words after
    "it ...") where the file is cut or its bytes changed.
    """
    try:
        return _checked(files, path, offset, length, crc32)
    except ValueError:
        if not isinstance(files, Cached):
            raise
        files.forget(path, offset, length)
        return _checked(files, path, offset, length, crc32)


def _checked(files: Files, path: str, offset: int, length: int, crc32: int) -> "pa.Buffer":
    data = files.buffer(path, offset, length)
    if data.size != length:
        raise ValueError(f"ends at byte {offset + data.size:,}, inside what was committed")
    key = (files.url, path, offset)
    if key not in TOUCHED:
        if zlib.crc32(data) != crc32:  # pyright: ignore[reportArgumentType]  # a Buffer has the buffer protocol
            raise ValueError(
                f"is not what was committed: its bytes changed, between {offset:,} and {offset + length:,}"
            )
        TOUCHED.add(key)
    return data


class LocalFiles:
    """Files below a folder, mapped; mappings are kept for the next range."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._maps: OrderedDict[str, pa.Buffer] = OrderedDict()

    @property
    def url(self) -> str:
        """The folder."""
        return str(self.root)

    def read(self, path: str) -> bytes:
        """A whole file."""
        return (self.root / path).read_bytes()

    def size(self, path: str) -> int:
        """A file's length in bytes."""
        return (self.root / path).stat().st_size

    def list(self, prefix: str) -> list[Found]:
        """Every file below a folder, in path order."""
        found: list[Found] = []
        for folder, _, names in os.walk(self.root / prefix):
            for name in names:
                path = Path(folder, name)
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # another process took it away
                found.append(Found(path.relative_to(self.root).as_posix(), stat.st_size, stat.st_mtime))
        return sorted(found, key=lambda one: one.path)

    def buffer(self, path: str, offset: int, length: int) -> "pa.Buffer":
        """A byte range of the mapped file."""
        whole = self._map(path)
        start = min(offset, whole.size)
        return whole.slice(start, min(length, whole.size - start))

    def _map(self, path: str) -> "pa.Buffer":
        found = self._maps.get(path)
        if found is None:
            import pyarrow as pa

            with pa.memory_map(str(self.root / path), "r") as handle:
                found = handle.read_buffer()
            self._maps[path] = found
            if len(self._maps) > MAX_MAPS:
                self._maps.popitem(last=False)
        return found

    def __reduce__(self) -> "tuple[type[LocalFiles], tuple[Path]]":
        """A spawned worker maps for itself."""
        return type(self), (self.root,)


def files_of(where: "Files | str | os.PathLike[str]") -> Files:
    """A folder's files, or an object store's where `where` has a scheme such as `s3://`; files are themselves."""
    if not isinstance(where, str | os.PathLike):
        return where
    text = os.fspath(where)
    if "://" in text and not text.startswith("file://"):
        from corpus.store.remote import RemoteFiles

        return RemoteFiles(text)
    return LocalFiles(text.removeprefix("file://"))
