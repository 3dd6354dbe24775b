"""Where each kept reply of a block is, over all files of its folder, whoever writes them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from teachers.replay.durable import unreadable
from teachers.replay.files import KeptFile, LinesFile, kept_file
from teachers.replay.line import Kept
from teachers.replay.names import age_rank

REFRESH_S: Final = 0.3
"""Shortest time between two looks at the folder, in seconds: another process's reply is seen that late."""

MAX_OPEN: Final = 8
"""Files of one block that are kept open for reading."""

RESCANS: Final = 10
"""How often a folder is read again when files vanish under the reading: somebody compacts or collects."""


class Place(NamedTuple):
    """Where a reply is; what the numbers mean is the file's affair."""

    file: KeptFile
    first: int
    second: int

    @property
    def name(self) -> tuple[str, int, int, int]:
        """The same place has the same name after the folder was read again."""
        return self.file.path.name, self.file.inode, self.first, self.second


class Index:
    """The kept replies of one folder. The first reply to a request, by its writer's beginning, counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, Place] = {}
        self._files: dict[str, KeptFile] = {}
        self._open: list[KeptFile] = []
        self._damaged: set[tuple[str, int, int, int]] = set()
        self._next_look = 0.0
        self.rebuild()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    @property
    def num_broken(self) -> int:
        """Lines that could not be read: their requests are asked again."""
        return sum(file.num_broken for file in self._files.values()) + len(self._damaged)

    def get(self, key: str) -> Kept | None:
        """The kept reply with this key; a damaged one counts as broken and gives way to the next."""
        while (place := self._places.get(key)) is not None:
            kept = self._read(place)
            if kept is not None and kept.key == key:
                return kept
            self._damaged.add(place.name)
            self.rebuild()
        return None

    def note(self, key: str, path: Path, offset: int, length: int) -> None:
        """A line that this process has just written."""
        file = self._files.get(path.name)
        if not isinstance(file, LinesFile):
            file = self._files[path.name] = LinesFile(path, path.stat().st_ino)
        file.wrote(offset + length)
        self._places.setdefault(key, Place(file, offset, length))

    def refresh(self) -> bool:
        """Look for what other processes have added, unless that was just done; whether there was any."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + REFRESH_S
        before = len(self._places)
        self._scan()
        return len(self._places) > before

    def rebuild(self) -> None:
        """Read the whole folder again: files were compacted, collected or damaged."""
        for _ in range(RESCANS):
            self.close()
            self._files, self._places = {}, {}
            if self._scan():
                break
        there = {(file.path.name, file.inode) for file in self._files.values()}
        self._damaged = {name for name in self._damaged if name[:2] in there}
        self._next_look = time.monotonic() + REFRESH_S

    def close(self) -> None:
        """Give every descriptor back; the next `get` opens what it needs."""
        for file in self._open:
            file.close()
        self._open = []

    def _scan(self) -> bool:
        """Index what is new; False when a file vanished meanwhile."""
        try:
            with os.scandir(self.folder) as entries:
                found = [(Path(entry.path), entry.stat()) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise unreadable(self.folder, error) from error
        found.sort(key=lambda each: age_rank(each[0]))
        is_whole = True
        for path, stat in found:
            is_whole = self._take(path, stat) and is_whole
        return is_whole

    def _take(self, path: Path, stat: os.stat_result) -> bool:
        file = self._files.get(path.name)
        if file is None or file.inode != stat.st_ino:
            file = kept_file(path, stat)
            if file is None:
                return True
            self._files[path.name] = file
        if not file.has_changed(stat):
            return True
        try:
            for key, first, second in file.index():
                place = Place(file, first, second)
                if not self._damaged or place.name not in self._damaged:
                    self._places.setdefault(key, place)
        except FileNotFoundError:
            del self._files[path.name]
            return False
        except OSError as error:
            raise unreadable(path, error) from error
        finally:
            file.close()
        return True

    def _read(self, place: Place) -> Kept | None:
        file = place.file
        if file not in self._open:
            self._open.append(file)
            if len(self._open) > MAX_OPEN:
                self._open.pop(0).close()
        try:
            return file.read(place.first, place.second)
        except (OSError, ValueError, KeyError):
            return None
