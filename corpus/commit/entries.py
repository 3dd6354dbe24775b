"""Commit entries: one small JSON file per finished task, which together are the truth of a corpus."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from corpus.layout import COMMITS, commit_path
from corpus.sealed import seal, unseal
from corpus.store.files import Files
from corpus.store.writing import Store, store_of
from schemas.errors import CorpusError
from schemas.task import Tally

FORMAT: Final = 2
"""Raised when a key of a commit entry is added, removed or changes meaning."""


def read_entries(where: "Store | str | os.PathLike[str]") -> dict[str, "CommitEntry"]:
    """Every commit entry of a corpus by its task's fingerprint, in path order; none is no error.

    Raises CorpusError, naming the file, where an entry is torn, altered or misplaced.
    """
    store = store_of(where)
    try:
        paths = [found.path for found in store.list(COMMITS) if found.path.endswith(".json")]
        read = zip(paths, store.read_many(paths), strict=True)
        return {entry.task: entry for entry in (decode_entry(store.url, path, data) for path, data in read)}
    except OSError as error:
        raise CorpusError(f"the commit entries of {store.url} cannot be read: {error}") from error


def read_named(files: Files, flow: str, fingerprint: str) -> "CommitEntry":
    """The commit entry of one task. Raises CorpusError where it is missing or broken."""
    path = commit_path(flow, fingerprint)
    try:
        data = files.read(path)
    except OSError as error:
        raise CorpusError(_broken(files.url, path, str(error))) from error
    return decode_entry(files.url, path, data)


def decode_entry(url: str, path: str, data: bytes) -> "CommitEntry":
    """A commit entry from its file's bytes. Raises CorpusError where they are not what was written there."""
    try:
        body = unseal(data)
        if body.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}; read it with the version that wrote it")
        entry = _entry(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it lacks the key {error}" if isinstance(error, KeyError) else str(error)
        raise CorpusError(_broken(url, path, what)) from error
    if path != commit_path(entry.flow, entry.task):
        raise CorpusError(f"commit entry {url}/{path} belongs at {commit_path(entry.flow, entry.task)}; move it there")
    return entry


def corpus_sha256(entries: "Sequence[CommitEntry]") -> str:
    """Hash of the data files' paths, checksums and rows: of what is in a corpus, not of how it came to be."""
    lines = sorted(f"{file.path} {file.xxh3_128} {file.rows}\n" for entry in entries for file in entry.files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _broken(url: str, path: str, what: str) -> str:
    return f"commit entry {url}/{path} is broken: {what}; restore it from a copy, or delete it and run again"


def encode_entry(entry: "CommitEntry") -> bytes:
    """The bytes of a commit entry's file: JSON whose last key is the SHA-256 of the bytes before it."""
    return seal({"format": FORMAT, **asdict(entry)})


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
    that slice opens it. `crc32` is zlib's of those bytes, what a reader checks when it first touches them.
    `blob_bytes` counts the images' bytes. `cells` counts rows per `corpus.layout.cell`; rejects have none.
    """

    offset: int
    length: int
    rows: int
    crc32: int
    blob_bytes: int
    cells: Mapping[str, int]


@dataclass(frozen=True)
class FileEntry:
    """One Arrow file. `path` is POSIX, relative to the corpus folder; `modality` is "text" for null.

    A file of rejects has empty `license_class`, `modality` and `split`. `schema_version` is
    `schemas.arrow.SCHEMA_VERSION` of who wrote it.
    """

    path: str
    rows: int
    bytes: int
    xxh3_128: str
    license_class: str
    modality: str
    split: str
    schema_version: int
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
