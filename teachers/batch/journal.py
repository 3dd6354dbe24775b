"""The files that remember a batch: what was to be asked, how far it came, what the server answered."""

import fcntl
import json
import os
import secrets
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from schemas.errors import CorpusError
from teachers.batch.lines import Places, disk_errors

INTENT: Final = ".json"
STEP: Final = ".step"
RESULTS: Final = ".results.jsonl"
CLAIM: Final = ".claim"
PARTS: Final = (INTENT, STEP, RESULTS, CLAIM, ".part", ".new")
"""The endings of a batch's files; the intent is first: without it the others mean nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a batch came: its file was `uploaded`, the server was asked to start it (`creating`: it may
    run), or it is known to run (`created`).
    """

    name: Literal["uploaded", "creating", "created"]
    file_id: str
    batch_id: str = ""
    num_submits: int = 0


class Journal:
    """One batch's files in `folder`, and the locks that this process holds on them.

    Who holds the *claim* drives the batch; the kernel takes it from a process that dies. Who *attends*
    waits for its results: they are not removed under him. Locks are `flock`: on a file system that
    several hosts share it must be one that carries them (NFS does). Beside the files: `num_unsettled` keys
    whose answers are kept nowhere else, the keys `awaited` here, whether somebody here follows the batch,
    and the `places` of its results once they were read.
    """

    def __init__(self, folder: Path, name: str, url: str, keys: tuple[str, ...]) -> None:
        self.folder = folder
        self.name = name
        self.url = url
        self.keys = keys
        self.num_unsettled = len(keys)
        self.awaited: set[str] = set()
        self.is_followed = False
        self.places: Places | None = None
        self._claim: int | None = None
        self._attendance: int | None = None

    @property
    def results(self) -> Path:
        """What the server answered; there once the batch has ended and all of it is on this disk."""
        return self._path(RESULTS)

    @property
    def intent(self) -> Path:
        """The file without which nothing is remembered."""
        return self._path(INTENT)

    @property
    def is_there(self) -> bool:
        """Whether the batch is remembered still."""
        return self._path(INTENT).exists()

    @property
    def part(self) -> Path:
        """Where results are gathered until all are there."""
        return self._path(".part")

    def step(self) -> Step | None:
        """How far it came; None before the upload."""
        try:
            return Step(**json.loads(self._path(STEP).read_bytes()))
        except FileNotFoundError:
            return None

    def save(self, step: Step) -> Step:
        """Put a step on the disk; CorpusError when that fails."""
        self._write(STEP, json.dumps(asdict(step)).encode())
        return step

    def publish_results(self) -> None:
        """Make `part` the results, for good; CorpusError when the disk refuses."""
        with disk_errors(self.part):
            _sync(self.part)
            self.part.replace(self.results)
            _sync(self.folder)

    def claim(self) -> bool:
        """Whether this process drives the batch now; False while another does, or when it is gone."""
        if self._claim is None:
            with disk_errors(self._path(CLAIM)):
                self._claim = _lock(self._path(CLAIM), fcntl.LOCK_EX, os.O_CREAT)
            if self._claim is not None and not self.is_there:
                self._path(CLAIM).unlink(missing_ok=True)
                self.release_claim()
        return self._claim is not None

    def release_claim(self) -> None:
        """Let another process drive it."""
        self._claim = _close(self._claim)

    def attend(self) -> bool:
        """Keep the files from being removed by others; False when they are gone."""
        if self._attendance is None:
            self._attendance = _lock(self._path(INTENT), fcntl.LOCK_SH, 0)
        if self._attendance is not None and os.fstat(self._attendance).st_nlink == 0:
            self._attendance = _close(self._attendance)
        return self._attendance is not None

    def release(self) -> None:
        """Give up every lock."""
        self.release_claim()
        self._attendance = _close(self._attendance)

    def remove(self) -> None:
        """Remove the files, unless another process attends; then they are left to it."""
        self._attendance = _close(self._attendance)
        alone = _lock(self._path(INTENT), fcntl.LOCK_EX, 0)
        if alone is not None:
            self.abandon()
            _close(alone)
        self.release()

    def abandon(self) -> None:
        """Remove the files, whoever attends: its requests are to be asked anew."""
        for ending in PARTS:
            self._path(ending).unlink(missing_ok=True)

    def write_intent(self) -> None:
        """Note what is to be asked, before a byte of it leaves; the writer claims it first."""
        with disk_errors(self._path(CLAIM)):
            self._claim = _lock(self._path(CLAIM), fcntl.LOCK_EX, os.O_CREAT | os.O_EXCL)
        intent = {"version": 1, "url": self.url, "keys": self.keys}
        self._write(INTENT, json.dumps(intent).encode())

    def _write(self, ending: str, content: bytes) -> None:
        new = self._path(".new")
        with disk_errors(self._path(ending)):
            new.write_bytes(content)
            _sync(new)
            new.replace(self._path(ending))
            _sync(self.folder)

    def _path(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}"


def new_journal(folder: Path, url: str, keys: Iterable[str]) -> Journal:
    """A journal with a name of its own; nothing is on the disk yet."""
    return Journal(folder, secrets.token_hex(12), url, tuple(keys))


def read_journals(folder: Path, known: Iterable[str]) -> list[Journal]:
    """The journals in `folder` whose names are not `known`. CorpusError for one that cannot be read."""
    names = {path.name.removesuffix(INTENT) for path in folder.glob(f"*{INTENT}")}
    journals = (_read(folder, name) for name in sorted(names.difference(known)))
    return [journal for journal in journals if journal is not None]


@contextmanager
def gate(folder: Path) -> Generator[None]:
    """One process at a time: between looking for a key in the journals and noting it in a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "gate").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(folder: Path, name: str) -> Journal | None:
    path = folder / f"{name}{INTENT}"
    try:
        intent = json.loads(path.read_bytes())
        return Journal(folder, name, intent["url"], tuple(intent["keys"]))
    except FileNotFoundError:  # removed meanwhile
        return None
    except (ValueError, LookupError, TypeError):
        raise CorpusError(f"{path}: not a batch's journal; move it away, and its requests are asked again") from None


def _lock(path: Path, kind: int, flags: int) -> int | None:
    """A lock on a file, or None when it is held in a way that forbids it, or there is no such file."""
    try:
        handle = os.open(path, os.O_RDWR | flags, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return _close(handle)
    return handle


def _close(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
