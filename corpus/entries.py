"""Commit entries: one small JSON file per finished task, which together are the truth of a corpus."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from corpus.layout import COMMITS, commit_path
from schemas.errors import CorpusError
from schemas.task import Tally

FORMAT: Final = 1
"""Raised when a key of a commit entry is added, removed or changes meaning."""


def read_entries(root: Path) -> dict[str, "CommitEntry"]:
    """Every commit entry under `root` by its task's fingerprint, in path order; none is no error.

    Raises CorpusError, naming the file, where an entry is torn, altered or misplaced.
    """
    paths = sorted((root / COMMITS).glob("*/*.json"))
    return {entry.task: entry for entry in map(read_entry, paths)}


def read_named(root: Path, flow: str, fingerprint: str) -> "CommitEntry":
    """The commit entry of one task. Raises CorpusError where it is missing or broken."""
    return read_entry(root / commit_path(flow, fingerprint))


def read_entry(path: Path) -> "CommitEntry":
    """One commit entry from its file. Raises CorpusError where it is missing or broken."""
    try:
        data = path.read_bytes()
        body = json.loads(data)
        if data != _seal(data[: -len(_seal(b""))]):
            raise ValueError("its checksum does not match its content")
        del body["sha256"]
        if body.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}; read it with the version that wrote it")
        entry = _entry(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it lacks the key {error}" if isinstance(error, KeyError) else str(error)
        raise CorpusError(
            f"commit entry {path} is broken: {what}; restore it from a copy, or delete it and run again"
        ) from error
    if path != path.parent / f"{entry.task}.json" or entry.flow != path.parent.name:
        raise CorpusError(f"commit entry {path} belongs at {commit_path(entry.flow, entry.task)}; move it there")
    return entry


def encode_entry(entry: "CommitEntry") -> bytes:
    """The bytes of a commit entry's file: JSON whose last key is the SHA-256 of the bytes before it."""
    body = {"format": FORMAT, **asdict(entry)}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, default=dict)
    return _seal(text.removesuffix("}").encode())


def _seal(head: bytes) -> bytes:
    """An open JSON object, closed with its own checksum: the same number of bytes is added to any."""
    return head + f', "sha256": "{hashlib.sha256(head).hexdigest()}"}}\n'.encode()


def _entry(body: Mapping[str, Any]) -> "CommitEntry":
    rejects = body["rejects"]
    nested: dict[str, Any] = {
        "files": tuple(_file(file) for file in body["files"]),
        "rejects": None if rejects is None else _file(rejects),
        "tallies": tuple(Tally(**tally) for tally in body["tallies"]),
    }
    return CommitEntry(**{**body, **nested})


def _file(body: Mapping[str, Any]) -> "FileEntry":
    values: dict[str, Any] = {**body, "batches": tuple(BatchEntry(**batch) for batch in body["batches"])}
    return FileEntry(**values)


@dataclass(frozen=True)
class BatchEntry:
    """One record batch of a shard.

    `offset` and `length` (bytes) are those of its message in the stream: `pa.ipc.read_record_batch` of
    that slice opens it. `blob_bytes` counts the images' bytes. `cells` counts rows per
    `corpus.layout.cell`; rejects have none.
    """

    offset: int
    length: int
    rows: int
    blob_bytes: int
    cells: Mapping[str, int]


@dataclass(frozen=True)
class FileEntry:
    """One Arrow file. `path` is POSIX, relative to the corpus folder; `modality` is "text" for null.

    A file of rejects has empty `license_class`, `modality` and `split`.
    """

    path: str
    rows: int
    bytes: int
    xxh3_128: str
    license_class: str
    modality: str
    split: str
    batches: tuple[BatchEntry, ...]


@dataclass(frozen=True)
class CommitEntry:
    """What one task committed. `task` is its fingerprint; whatever may differ between runs is in `made`."""

    task: str
    flow: str
    source: str
    shard: str
    start: int
    stop: int
    recipe_sha256: str
    recipe: Mapping[str, Any]
    files: tuple[FileEntry, ...]
    rejects: FileEntry | None
    tallies: tuple[Tally, ...]
    made: Mapping[str, Any]

    @property
    def num_rows(self) -> int:
        """Samples, over all files."""
        return sum(file.rows for file in self.files)
