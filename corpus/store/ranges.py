"""Byte ranges of one process: fetched once though many threads ask, some of them ahead, kept in a cache folder."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pyarrow as pa

from corpus.store.cache import CacheFolder
from corpus.store.files import TOUCHED

Range = tuple[str, int, int]
"""(path, offset, length), in bytes."""

MAPPED_BYTES: Final = 1 << 30
"""Ranges that stay mapped after their use: a shuffle's window of 64 batches (`corpus/README.md`)."""
AHEAD_SHARE: Final = 0.5
"""Of the cache, at most what waits to be used: the rest is for what was used."""


class Ranges:
    """Ranges of the files at `url`, for any number of threads; `origin` tells stores of one URL apart.

    What is mapped from the folder stays readable when the folder lets go of it.
    """

    def __init__(
        self, url: str, origin: str, fetch: Callable[[Range], pa.Buffer], cache: CacheFolder, num_ahead: int
    ) -> None:
        self._url = url
        self._origin = origin
        self._fetch = fetch
        self._cache = cache
        self._num_ahead = num_ahead
        self._lock = threading.RLock()
        self._pending: dict[Range, Future[pa.Buffer]] = {}
        self._mapped: OrderedDict[Range, pa.Buffer] = OrderedDict()
        self._mapped_bytes = 0
        self._pool: ThreadPoolExecutor | None = None
        self._plan: Iterator[Range] | None = None
        self._ahead: dict[Range, pa.Buffer | None] = {}
        self._ahead_bytes = self._num_flying = 0
        self._asked: set[Range] = set()

    def buffer(self, wanted: Range) -> pa.Buffer:
        """A range, mapped where the cache has room for it. Raises as `fetch` does, and ConfigError for the folder."""
        with self._lock:
            held = self._release(wanted)
            if held is not None and wanted not in self._mapped:
                self._keep(wanted, held)
            if self._plan is not None:
                self._asked.add(wanted)
                self._pump()
        return self._mapping(wanted) if held is None else held

    def ahead(self, ranges: Iterable[Range]) -> None:
        """Fetch these in this order before they are asked for, and nothing more of an earlier call."""
        with self._lock:
            self._plan, self._ahead, self._ahead_bytes, self._asked = iter(ranges), {}, 0, set()
            self._pump()

    def forget(self, wanted: Range) -> None:
        """Throw the copy of a range away."""
        with self._lock:
            self._release(wanted)
            dropped = self._mapped.pop(wanted, None)
            self._mapped_bytes -= 0 if dropped is None else dropped.size
            self._cache.remove(self._name(wanted))

    def _mapping(self, wanted: Range) -> pa.Buffer:
        """A range that is mapped, being fetched, or fetched now."""
        with self._lock:
            data = self._mapped.get(wanted)
            if data is not None:
                self._mapped.move_to_end(wanted)
                return data
            future, is_mine = self._pending.get(wanted), wanted not in self._pending
            if future is None:
                future = self._pending[wanted] = Future()
        if is_mine:
            try:
                future.set_result(self._loaded(wanted))
            except BaseException as error:
                future.set_exception(error)
            with self._lock:
                del self._pending[wanted]
        return future.result()

    def _loaded(self, wanted: Range) -> pa.Buffer:
        """A range from the cache, or fetched into it. Its checksum is due again: the bytes are new to this process."""
        path, offset, length = wanted
        name = self._name(wanted)
        data, is_mapped = self._cache.get(name, length), True
        if data is None:
            with self._cache.claimed(name):
                data = self._cache.get(name, length)
                if data is None:
                    fetched = self._fetch(wanted)
                    data = self._cache.put(name, fetched) if fetched.size == length else fetched
                    is_mapped = data is not fetched
        TOUCHED.discard((self._url, path, offset))
        if is_mapped:
            self._keep(wanted, data)
        return data

    def _keep(self, wanted: Range, data: pa.Buffer) -> None:
        with self._lock:
            self._mapped[wanted] = data
            self._mapped_bytes += data.size
            while self._mapped_bytes > MAPPED_BYTES and len(self._mapped) > 1:
                self._mapped_bytes -= self._mapped.popitem(last=False)[1].size

    def _name(self, wanted: Range) -> str:
        path, offset, length = wanted
        digest = hashlib.sha256(f"{self._origin} {self._url}/{path}".encode()).hexdigest()
        return f"{digest[:32]}-{offset}-{length}"

    def _release(self, wanted: Range) -> pa.Buffer | None:
        """A range that was fetched ahead is used: another may follow."""
        if wanted not in self._ahead:
            return None
        self._ahead_bytes -= wanted[2]
        return self._ahead.pop(wanted)

    def _pump(self) -> None:
        """Send threads for what is next, while what waits to be used is not too much."""
        most = self._cache.max_bytes * AHEAD_SHARE
        while self._plan is not None and self._num_flying < self._num_ahead and self._ahead_bytes < most:
            wanted = next(self._plan, None)
            if wanted is None:
                self._plan = None
            elif wanted not in self._asked and wanted not in self._ahead:
                self._ahead[wanted] = self._mapped.get(wanted)
                self._ahead_bytes += wanted[2]
                if self._ahead[wanted] is None:
                    self._num_flying += 1
                    self._pool = self._pool or ThreadPoolExecutor(self._num_ahead, "calabash-ahead")
                    self._pool.submit(self._fly, wanted)

    def _fly(self, wanted: Range) -> None:
        try:
            data = self._mapping(wanted)
        except Exception:  # who asks for it will hear of it
            data = None
        with self._lock:
            self._num_flying -= 1
            if wanted in self._ahead:
                if wanted in self._mapped:
                    self._ahead[wanted] = data
                else:  # failed, or in memory only
                    self._release(wanted)
            self._pump()
