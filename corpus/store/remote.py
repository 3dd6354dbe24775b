"""Reading a corpus on an object store: ranges are fetched once into a bounded local cache, some of them ahead."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from corpus.store.cache import CacheFolder, default_folder
from corpus.store.files import Found
from corpus.store.forking import requesting
from corpus.store.ranges import Range, Ranges
from schemas.errors import ConfigError

Result = TypeVar("Result")

CACHE_BYTES: Final = 8 << 30
MAX_HANDLES: Final = 256
"""Objects whose size is remembered: opening one asks the store for it."""
WAITS_S: Final = (0.2, 1.0, 4.0)
"""Seconds between tries: a server that restarts or a cut response is no reason to end a training run."""
CONNECT_S: Final = 5.0
FINAL: Final = ("ACCESS_DENIED", "SIGNATURE_DOES_NOT_MATCH", "INVALID_ACCESS_KEY_ID", "NO_SUCH_BUCKET")
"""Answers that another try would not change, as the AWS SDK spells them."""


def open_files(url: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URL, and the path in it. Raises ConfigError where there is no such thing.

    The S3 settings come from the environment, under the names that obstore reads as well: AWS_ENDPOINT_URL,
    AWS_ALLOW_HTTP, AWS_REGION, AWS_SKIP_SIGNATURE, AWS_VIRTUAL_HOSTED_STYLE_REQUEST, and the usual credentials.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "s3" and not parts.query:
            return _s3(), (parts.netloc + parts.path).rstrip("/")
        return fs.FileSystem.from_uri(url)
    except (pa.ArrowException, ValueError, ImportError) as error:
        raise ConfigError(
            f"{url} cannot be opened: {error}; a corpus is a folder, or a URL that begins with s3://, gs:// or abfs://"
        ) from error


def _s3() -> fs.FileSystem:
    endpoint = _endpoint()
    scheme, _, host = (endpoint or "").rpartition("://")
    if scheme == "http" and not _is_true("AWS_ALLOW_HTTP"):
        raise ConfigError(
            f"the endpoint {endpoint} is not encrypted; to read from it nevertheless: AWS_ALLOW_HTTP=true"
        )
    return fs.S3FileSystem(
        endpoint_override=host.rstrip("/") or None,
        scheme="http" if scheme == "http" else "https",
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        anonymous=_is_true("AWS_SKIP_SIGNATURE"),
        force_virtual_addressing=_is_true("AWS_VIRTUAL_HOSTED_STYLE_REQUEST"),
        connect_timeout=CONNECT_S,
    )


def _endpoint() -> str | None:
    named = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    return next(filter(None, named), None)


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in {"1", "true", "yes"}


class _Process:
    """What one process has open: the file system, objects, and the ranges it holds."""

    def __init__(self, url: str, ranges: Ranges) -> None:
        self.pid = os.getpid()
        self.files, self.root = open_files(url)
        self.ranges = ranges
        self._handles: OrderedDict[str, pa.NativeFile] = OrderedDict()

    def place(self, path: str) -> str:
        """A path of the corpus in the file system."""
        return f"{self.root}/{path}" if path else self.root

    def handle(self, path: str) -> pa.NativeFile:
        """An object, open; the store is asked for its size, once."""
        found = self._handles.get(path)
        if found is None:
            found = self._handles[path] = self.files.open_input_file(self.place(path))
            if len(self._handles) > MAX_HANDLES:
                self._handles.popitem(last=False)
        return found

    def let_go(self, path: str) -> None:
        """Forget an open object."""
        self._handles.pop(path, None)


_LEFT: Final[list[_Process]] = []
"""What forked processes inherited: it must not be closed there, where the threads behind it are gone."""


class RemoteFiles:
    """A corpus's files on an object store (`corpus.store.files.Files`), for any number of threads.

    Ranges go through a folder of at most `cache_bytes` that all processes share; `cache` None is
    `corpus.store.cache.default_folder`. A forked or spawned process opens the store for itself. Every
    method raises OSError (FileNotFoundError where there is nothing), in one line, after a few tries.
    """

    def __init__(
        self,
        url: str,
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
        num_ahead: int = 4,
    ) -> None:
        self._url = url.rstrip("/")
        self._cache = Path(cache) if cache is not None else default_folder()
        self._cache_bytes = cache_bytes
        self._num_ahead = num_ahead
        self._here: _Process | None = None

    @property
    def url(self) -> str:
        """The prefix, without a slash at its end."""
        return self._url

    def read(self, path: str) -> bytes:
        """A whole object; never from the cache."""

        def asked(process: _Process) -> bytes:
            with process.files.open_input_stream(process.place(path)) as handle:
                return handle.read()

        return self._ask(path, asked)

    def size(self, path: str) -> int:
        """An object's length in bytes."""
        return self._ask(path, lambda process: process.handle(path).size())

    def list(self, prefix: str) -> list[Found]:
        """Every object below a folder, in path order."""

        def asked(process: _Process) -> list[Found]:
            wanted = fs.FileSelector(process.place(prefix), allow_not_found=True, recursive=True)
            start = len(process.root) + 1
            found = [one for one in process.files.get_file_info(wanted) if one.is_file]
            return [Found(one.path[start:], one.size or 0, (one.mtime_ns or 0) / 1e9) for one in found]

        return sorted(self._ask(prefix, asked), key=lambda one: one.path)

    def buffer(self, path: str, offset: int, length: int) -> pa.Buffer:
        """A byte range, from the cache or fetched into it; mapped where the cache has room for it."""
        return self._process().ranges.buffer((path, offset, length))

    def prefetch(self, ranges: Iterable[Range]) -> None:
        """Read ranges ahead, in this order, in `num_ahead` threads, instead of those of an earlier call.

        Reading stops while half of the cache's bytes wait to be used; until then they stay mapped.
        """
        self._process().ranges.ahead(ranges)

    def forget(self, path: str, offset: int, length: int) -> None:
        """Throw a range's copy away, so that it is fetched again."""
        self._process().ranges.forget((path, offset, length))

    def _fetch(self, wanted: Range) -> pa.Buffer:
        """A byte range from the store; shorter where the object ends before."""
        path, offset, length = wanted

        def asked(process: _Process) -> pa.Buffer:
            handle = process.handle(path)
            size = max(0, min(length, handle.size() - offset))
            data = handle.read_at(size, offset) if size else b""  # pyright: ignore[reportCallIssue]  # the stub lacks it
            if len(data) != size:
                raise OSError(f"the response ended after {len(data):,} of {size:,} bytes")
            return pa.py_buffer(data)

        return self._ask(path, asked)

    def _process(self) -> _Process:
        if self._here is None or self._here.pid != os.getpid():
            if self._here is not None:
                _LEFT.append(self._here)
            cache = CacheFolder(self._cache, self._cache_bytes)
            self._here = _Process(self._url, Ranges(self._url, _endpoint() or "", self._fetch, cache, self._num_ahead))
        return self._here

    def _ask(self, path: str, ask: Callable[[_Process], Result]) -> Result:
        """The store's answer, asked for again where it was cut or there was none."""
        for wait in (*WAITS_S, None):
            try:
                with requesting():
                    return ask(self._process())
            except FileNotFoundError:
                raise FileNotFoundError(f"there is no {self._url}/{path}") from None
            except (OSError, pa.ArrowException) as error:
                said = " ".join(str(error).split())
                is_final = isinstance(error, PermissionError) or any(word in said for word in FINAL)
                # while Python ends, nobody waits for an answer
                if wait is None or is_final or not threading.main_thread().is_alive():
                    raise OSError(f"{self._url}/{path} cannot be read: {said}") from error
            self._process().let_go(path)
            time.sleep(wait)
        raise AssertionError

    def __reduce__(self) -> "tuple[type[RemoteFiles], tuple[Any, ...]]":
        return type(self), (self._url, self._cache, self._cache_bytes, self._num_ahead)
