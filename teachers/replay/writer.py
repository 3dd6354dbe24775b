"""An append-only file of lines: written at once, brought to the disk in groups by a thread."""

import os
import secrets
import threading
from pathlib import Path
from typing import Final

from schemas.errors import CorpusError

WINDOW_S: Final = 0.1
"""Longest time a written line waits for the disk, in seconds; what a power loss can cost."""

WINDOW_BYTES: Final = 1 << 20
"""Bytes that bring the disk forward, however short the wait."""


def _failure(path: Path, error: OSError) -> CorpusError:
    reason = error.strerror or str(error)
    return CorpusError(f"{path}: cannot keep a reply: {reason}; free space or fix permissions, then run again")


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class LineWriter:
    """Appends lines to one new file in `folder`, which nobody else writes; made at the first line.

    A line is one `write()`, so `kill -9` loses none that `append` returned from. CorpusError when the
    folder or the disk refuses; a line cut short by a full disk ends its file and the next opens another.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: _SyncedFile | None = None

    def append(self, line: bytes) -> tuple[Path, int]:
        """Write one line; the file that holds it and the line's offset in bytes."""
        try:
            if self._file is None:
                self._file = _SyncedFile(self.folder)
            return self._file.path, self._file.write(line)
        except OSError as error:
            path = self.folder if self._file is None else self._file.path
            self._abandon()
            raise _failure(path, error) from error

    def close(self) -> None:
        """Bring every line to the disk."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            raise _failure(file.path, error) from error

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
        self.path = folder / f"{secrets.token_hex(12)}.jsonl"
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        _sync_folder(folder)
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
            except OSError as error:
                self._error = error
                return
            if is_last:
                return
