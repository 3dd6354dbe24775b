"""The two kinds of files that hold kept replies, as an index sees them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from teachers.replay.line import Kept, decode, key_of
from teachers.replay.names import LINES, TABLE

if TYPE_CHECKING:
    from teachers.replay.table import Table


class KeptFile(Protocol):
    """A file of kept replies; what is in it is found by two numbers, its own affair."""

    path: Path
    inode: int

    @property
    def num_broken(self) -> int:
        """Lines that could not be read, a torn tail among them."""
        ...

    def has_changed(self, stat: os.stat_result) -> bool:
        """Whether there is more in it than `index` has told."""
        ...

    def index(self) -> Iterator[tuple[str, int, int]]:
        """Key and place of each reply that was not told before. Raises OSError or ValueError."""
        ...

    def read(self, first: int, second: int) -> Kept | None:
        """The reply at a place, None when it is damaged. Raises OSError or ValueError."""
        ...

    def close(self) -> None:
        """Give the descriptor back; `read` opens it again."""
        ...


def kept_file(path: Path, stat: os.stat_result) -> KeptFile | None:
    """The file at `path`; None for a file that answers nothing."""
    if path.suffix == LINES:
        return LinesFile(path, stat.st_ino)
    return TableFile(path, stat.st_ino) if path.suffix == TABLE else None


class LinesFile:
    """A file of lines, which may grow while it is read; a place is an offset and a length in bytes."""

    def __init__(self, path: Path, inode: int = 0) -> None:
        self.path = path
        self.inode = inode
        self._handle = -1
        self._num_broken = 0
        self._is_torn = False
        self._told = 0
        self._seen = 0

    @property
    def num_broken(self) -> int:
        """Lines that could not be read; a tail without its end counts until it grows."""
        return self._num_broken + self._is_torn

    def has_changed(self, stat: os.stat_result) -> bool:
        """Whether it has grown."""
        return stat.st_size != self._seen

    def wrote(self, stop: int) -> None:
        """Whoever writes the file knows what is in it up to `stop` (bytes)."""
        self._told = self._seen = stop

    def index(self) -> Iterator[tuple[str, int, int]]:
        """Key, offset and length of each new line."""
        self._is_torn = False
        with self.path.open("rb") as file:
            file.seek(self._told)
            for line in file:
                offset, self._seen = self._told, self._told + len(line)
                key = key_of(line)
                if key is None and not line.endswith(b"\n"):
                    self._is_torn = True
                    return
                self._told = self._seen
                if key is None:
                    self._num_broken += 1
                else:
                    yield key, offset, len(line)

    def read(self, first: int, second: int) -> Kept | None:
        """The line of `second` bytes at offset `first`."""
        if self._handle < 0:
            self._handle = os.open(self.path, os.O_RDONLY)
        return decode(os.pread(self._handle, second, first))

    def close(self) -> None:
        """Give the descriptor back."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class TableFile:
    """Compacted replies; a place is a batch and a row in it. A file that cannot be opened counts as one broken line."""

    def __init__(self, path: Path, inode: int) -> None:
        self.path = path
        self.inode = inode
        self.num_broken = 0
        self._table: Table | None = None
        self._is_told = False

    def has_changed(self, stat: os.stat_result) -> bool:
        """Whether it was never read; it is replaced whole or not at all."""
        return not self._is_told

    def index(self) -> Iterator[tuple[str, int, int]]:
        """Key, batch and row of each reply; only the keys are inflated."""
        self._is_told = True
        try:
            for batch, (keys,) in enumerate(self._open().columns(["key"])):
                for row, key in enumerate(keys):
                    yield key, batch, row
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError):
            self.num_broken += 1

    def read(self, first: int, second: int) -> Kept | None:
        """Row `second` of batch `first`."""
        return self._open().read(first, second)

    def close(self) -> None:
        """Give the descriptor back."""
        table, self._table = self._table, None
        if table is not None:
            table.close()

    def _open(self) -> "Table":
        if self._table is None:
            from teachers.replay.table import Table  # brings pyarrow, which logs of lines do without

            self._table = Table(self.path)
        return self._table
