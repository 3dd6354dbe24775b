"""A corpus below a prefix of an object store: conditional puts take names, and an object is whole or absent."""

import errno
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, GenericError

from corpus.store.files import Found
from corpus.store.opening import Patience, open_objects, status_of

if TYPE_CHECKING:
    import pyarrow as pa
    from obstore import ObjectMeta

PARALLEL: Final = 16
"""Small objects that are read at once: each takes its 20-200 ms mostly by waiting."""

PART_BYTES: Final = 16 << 20
"""A larger file goes in parts of so many bytes, `PARTS_AT_ONCE` at a time."""

PARTS_AT_ONCE: Final = 4

FRESH_S: Final = 600.0
"""A file of this name and size that is younger, in seconds, is not sent again; an older one is about to be collected,
perhaps, and sending it again makes it young."""

PROBE: Final = ".conditional-put"
"""Put twice before the first name is taken: a store that ignores the condition would let two workers have it."""

NO_CONDITION: Final = (
    "this store lets a second put take a name that is taken (it ignores If-None-Match), so two workers could "
    "commit one task; use a store with conditional puts, or a corpus folder"
)


class BucketStore:
    """A corpus on S3 or its kin, GCS or Azure; see `corpus.store.writing.Store`.

    Every method raises OSError when the store refuses or stays away. Processes that share a corpus must be
    spawned, not forked: the client's threads do not survive a fork. ConfigError for a URL that names no store.
    """

    def __init__(self, url: str, scratch: Path | None = None) -> None:
        self._url = url.rstrip("/")
        self._objects = open_objects(self._url)
        self._store = Patience(self._url)
        self._given = scratch
        self._made: TemporaryDirectory[str] | None = None
        self._is_proven = False

    @property
    def url(self) -> str:
        """The prefix, without a slash at its end."""
        return self._url

    @property
    def scratch(self) -> Path:
        """The folder that was given, or a temporary one, which goes when the process ends."""
        if self._given is not None:
            return self._given
        if self._made is None:
            self._made = TemporaryDirectory(prefix="calabash-")
        return Path(self._made.name)

    def read(self, path: str) -> bytes:
        """A whole object."""
        return self._store.ask(path, lambda: obstore.get(self._objects, path).bytes().to_bytes())

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Whole small objects, `PARALLEL` at a time, in the order asked for."""
        waiting: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(PARALLEL) as pool:
            for path in paths:
                waiting.append(pool.submit(self.read, path))
                if len(waiting) >= 4 * PARALLEL:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def size(self, path: str) -> int:
        """An object's length in bytes."""
        return self._store.ask(path, lambda: obstore.head(self._objects, path)["size"])

    def list(self, prefix: str) -> "list[Found]":
        """Every object below a folder, in path order."""
        return sorted(self._store.ask(prefix, lambda: self._list(prefix)), key=lambda one: one.path)

    def buffer(self, path: str, offset: int, length: int) -> "pa.Buffer":
        """A byte range, in one request."""
        import pyarrow as pa

        found = self._store.ask(path, lambda: self._range(path, offset, length))
        buffer = pa.py_buffer(found)  # pyright: ignore[reportArgumentType]  # it has the buffer protocol
        # Arrow wants its columns at multiples of 8 bytes, and a network buffer may start anywhere
        return buffer if buffer.address % 8 == 0 else pa.py_buffer(bytes(found))

    def publish(self, staged: Path, path: str) -> None:
        """Send a file, in parts where it is large: they become the object together. The staged file goes."""
        size = staged.stat().st_size
        if not self._store.ask(path, lambda: self._has(path, size)):
            self._store.ask(path, lambda: self._send(staged, path))
        staged.unlink()

    def create(self, path: str, data: bytes) -> bool:
        """Put where nothing is; False where something else is.

        A first try whose answer was lost may have taken the name: what is there is compared with `data`.
        """
        if not self._is_proven:
            if self._take(PROBE, b"one") and self._take(PROBE, b"another"):
                raise OSError(errno.EIO, NO_CONDITION, self._url)
            self._is_proven = True
        return self._take(path, data) or self.read(path) == data

    def replace(self, path: str, data: bytes) -> None:
        """Put over what is there."""
        self._store.ask(path, lambda: obstore.put(self._objects, path, data, use_multipart=False))

    def remove(self, path: str) -> None:
        """Delete an object; none is no error."""

        def delete() -> None:
            with suppress(FileNotFoundError):
                obstore.delete(self._objects, path)

        self._store.ask(path, delete)

    def remove_unchanged(self, found: Found) -> bool:
        """Look again, then delete: a store has no one step for both, so a file must be old to be garbage."""
        try:
            meta = self._store.ask(found.path, lambda: obstore.head(self._objects, found.path))
        except FileNotFoundError:
            return False
        if _found(meta) != found:
            return False
        self.remove(found.path)
        return True

    def __reduce__(self) -> "tuple[type[BucketStore], tuple[str, Path | None]]":
        """A spawned worker has a client of its own."""
        return type(self), (self._url, self._given)

    def _take(self, path: str, data: bytes) -> bool:
        """Put where nothing is; whether nothing was."""

        def put() -> bool:
            try:
                obstore.put(self._objects, path, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

        return self._store.ask(path, put)

    def _send(self, staged: Path, path: str) -> None:
        obstore.put(self._objects, path, staged, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    def _has(self, path: str, size: int) -> bool:
        """Whether a file of this content-hashed name is there whole, and young."""
        try:
            meta = obstore.head(self._objects, path)
        except FileNotFoundError:
            return False
        return meta["size"] == size and time.time() - _found(meta).modified < FRESH_S

    def _list(self, prefix: str) -> "list[Found]":
        pages = obstore.list(self._objects, prefix=prefix or None, chunk_size=1_000)  # pyright: ignore[reportUnknownMemberType]  # an overload without types
        return [_found(meta) for page in pages for meta in page]

    def _range(self, path: str, offset: int, length: int) -> "bytes | obstore.Bytes":
        if length <= 0:
            return b""
        try:
            return obstore.get_range(self._objects, path, start=offset, length=length)
        except GenericError as error:
            if status_of(error) == 416:  # it starts where the object ends, or beyond
                return b""
            raise


def _found(meta: "ObjectMeta") -> Found:
    return Found(meta["path"], meta["size"], meta["last_modified"].timestamp())
