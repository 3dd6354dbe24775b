"""A bounded folder of byte ranges that were fetched once, shared by every process of this machine."""

import errno
import fcntl
import os
import time
import uuid
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from schemas.errors import ConfigError

VARIABLE: Final = "CALABASH_CACHE"
"""The environment's variable that names the folder."""
KEPT_SHARE: Final = 0.9
"""What stays when the folder is full: removing a tenth at once, it is listed seldom."""
CLAIM_S: Final = 30.0
"""How long, in seconds, one process waits for another that fetches the same range, before it fetches it itself."""
POLL_S: Final = 0.02
CLAIM: Final = ".claim"
ANOTHER: Final = f"name a folder that can be with {VARIABLE}"


def default_folder() -> Path:
    """What CALABASH_CACHE names, else `calabash` in the user's cache folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calabash"


class CacheFolder:
    """Files below a folder, at most `max_bytes` of them in all; those that were used last stay.

    Processes share it without a lock that can hang: a file appears whole, by rename, and one that is
    mapped stays readable when another process removes it. Over the bound goes at most what the other
    processes wrote since each last looked: an eighth of the free space each.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._refused = f"the cache folder {folder} cannot be written"
        self._room = 0  # bytes that may still be written before the folder is listed again

    def get(self, name: str, length: int) -> "pa.Buffer | None":
        """A kept range, mapped; None where it is not there, or not whole."""
        path = self.folder / name
        try:
            with pa.memory_map(str(path), "r") as handle:
                data = handle.read_buffer()
            if data.size != length:
                self.remove(name)
                return None
            os.utime(path)  # used last
        except OSError:
            return None
        return data

    def put(self, name: str, data: "pa.Buffer") -> "pa.Buffer":
        """Keep a range; returns it mapped, or as it is where the folder is too small or the disk full.

        Raises ConfigError where the folder cannot be made.
        """
        if data.size > self.max_bytes:
            return data
        self._make()
        self._room -= data.size
        if self._room < 0:
            self._evict(data.size)
        aside = self.folder / f"{name}.{uuid.uuid4().hex[:12]}"
        try:
            with aside.open("wb") as handle:
                handle.write(data)  # pyright: ignore[reportArgumentType]  # it has the buffer protocol
            aside.replace(self.folder / name)
        except OSError as error:
            aside.unlink(missing_ok=True)
            warnings.warn(
                f"the cache {self.folder} cannot keep what was fetched: {error}; it is fetched again each time. "
                f"Free some space there, or name another folder with {VARIABLE}",
                stacklevel=2,
            )
            return data
        return self.get(name, data.size) or data

    def remove(self, name: str) -> bool:
        """Take a range away; False where it was not there."""
        try:
            (self.folder / name).unlink()
        except OSError:
            return False
        return True

    @contextmanager
    def claimed(self, name: str) -> Generator[None, None, None]:
        """Hold a range's claim: another process that wants the range waits, `CLAIM_S` at most.

        The kernel lets go of a claim when its process ends, however it ends.
        """
        self._make()
        path = self.folder / f"{name}{CLAIM}"
        try:
            handle = path.open("wb")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise ConfigError(f"{self._refused}: {error.strerror}; {ANOTHER}") from error
            yield  # the disk is full: several may fetch it
            return
        with handle:
            deadline = time.monotonic() + CLAIM_S
            while not _locked(handle.fileno()) and time.monotonic() < deadline and not (self.folder / name).exists():
                time.sleep(POLL_S)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                fcntl.flock(handle, fcntl.LOCK_UN)  # a forked process may have the handle too

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self._refused}: {error.strerror}; {ANOTHER}") from error

    def _evict(self, coming: int) -> None:
        """Remove what was used longest ago until what is coming fits."""
        found: list[tuple[float, int, str]] = []
        with os.scandir(self.folder) as files:
            for file in files:
                with suppress(OSError):
                    stat = file.stat()
                    found.append((stat.st_mtime, stat.st_size, file.path))
        total = sum(size for _, size, _ in found) + coming
        if total > self.max_bytes:
            for _, size, path in sorted(found):
                if total <= max(self.max_bytes * KEPT_SHARE, coming):
                    break
                with suppress(OSError):
                    Path(path).unlink()
                total -= size
        self._room = int(self.max_bytes - total) // 8


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
