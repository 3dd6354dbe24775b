"""An append-only file of lines: written at once, brought to the disk in groups by a thread."""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from teachers.replay.durable import make_durable, refused
from teachers.replay.names import LINES, new_writer

WINDOW_S: Final = 0.1
"""Longest time a written line waits for the disk, in seconds; what a power loss can cost."""

WINDOW_BYTES: Final = 1 << 20
"""Bytes that bring the disk forward, however short the wait."""


class LineWriter:
    """Appends lines to one new file in `folder`, which nobody else writes; made at the first line.

    A line is one `write()`, so `kill -9` loses none that `append` returned from. The file is locked
    while it is written, so that collecting leaves it alone; `on_new` hears of it. CorpusError when the
    folder or the disk refuses; a line cut short by a full disk ends its file and the next opens another.
    """

    def __init__(self, folder: Path, on_new: Callable[[Path], None] | None = None) -> None:
        self.folder = folder
        self.written: list[Path] = []
        """The files that it made, in order; whoever compacts one takes it off the list."""
        self._on_new = on_new
        self._file: _SyncedFile | None = None

    def append(self, line: bytes) -> tuple[Path, int]:
        """Write one line; the file that holds it and the line's offset in bytes."""
        try:
            file = self._file or self._open()
            return file.path, file.write(line)
        except OSError as error:
            path = self.folder if self._file is None else self._file.path
            self._abandon()
            raise refused(path, error) from error

    def close(self) -> None:
        """Bring every line to the disk."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            raise refused(file.path, error) from error

    def _open(self) -> "_SyncedFile":
        file = self._file = _SyncedFile(self.folder)
        self.written.append(file.path)
        if self._on_new is not None:
            self._on_new(file.path)
        return file

    def _abandon(self) -> None:
        """Leave a file whose last line may be cut; the error that led here is the one to report."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                return


class _SyncedFile:
    """One open file and the thread that fsyncs it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{new_writer()}{LINES}"
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        lock_if_possible(self._handle)
        make_durable(folder)
        self._size = 0
        self._unsynced = 0
        self._error: OSError | None = None
        self._is_closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._sync_in_groups, name="reply-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> int:
        if self._error is not None:
            raise self._error
        if os.write(self._handle, line) != len(line):
            raise OSError(None, "the disk took only part of a line")
        offset, self._size = self._size, self._size + len(line)
        with self._wake:
            is_first, self._unsynced = self._unsynced == 0, self._unsynced + len(line)
            if is_first or self._unsynced >= WINDOW_BYTES:
                self._wake.notify()
        return offset

    def close(self) -> None:
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join()
        os.close(self._handle)
        if self._error is not None:
            raise self._error

    def _sync_in_groups(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._is_closing or self._unsynced > 0)
                self._wake.wait_for(lambda: self._is_closing or self._unsynced >= WINDOW_BYTES, WINDOW_S)
                is_last, is_dirty, self._unsynced = self._is_closing, self._unsynced > 0, 0
            try:
                if is_dirty:
                    os.fsync(self._handle)
                    if os.fstat(self._handle).st_nlink == 0:
                        raise OSError(None, "somebody removed the file while it was written")
            except OSError as error:
                self._error = error
                return
            if is_last:
                return


def lock_if_possible(handle: int) -> bool:
    """Take a file for oneself until its descriptor closes; False when somebody has it.

    A file system without locks says yes to everyone: there the age of a file alone protects it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_written(path: Path) -> bool:
    """Whether a living process writes to a file, on this machine or on another that shares its locks."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not lock_if_possible(handle)
    finally:
        os.close(handle)
