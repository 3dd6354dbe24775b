"""A snapshot: a named, immutable, numbered version of what is committed, and how one is opened."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from corpus.commit.entries import CommitEntry, read_named
from corpus.layout import LATEST, MANIFEST, NAMES, snapshot_name, snapshot_number, snapshot_path
from corpus.sealed import unseal, unseal_line
from corpus.store.files import Files, files_of
from schemas.errors import CorpusError

FORMAT: Final = 2
"""Raised when a key of a snapshot or a column of its tables changes meaning."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One Parquet file of the manifest; `crc32` is zlib's of all its bytes."""

    path: str
    bytes: int
    rows: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of commit entries, in table order, with its tables ("files", "batches", "samples", "keys").

    `commits` are (flow, fingerprint). `cells` are rows by `corpus.layout.cell`: a piece without a tag is
    skipped unread.
    """

    commits: tuple[tuple[str, str], ...]
    num_files: int
    num_batches: int
    num_rows: int
    cells: Mapping[str, int]
    tables: Mapping[str, TableFile]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a derived column; `entries` are the fingerprints whose rows it was made from."""

    table: TableFile
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Derived:
    """What was learnt about rows later: a side table by (file, batch, row) with columns of its own.

    `kind` "column" adds columns to rows. Rows of kind "drop" are left out by readers, views and exports;
    its columns say why. `fingerprint` is the hash of what made it; `columns` are Arrow types by name.
    """

    name: str
    kind: Literal["column", "drop"]
    fingerprint: str
    columns: Mapping[str, str]
    parts: tuple[Part, ...]

    @property
    def num_rows(self) -> int:
        """Rows over all parts."""
        return sum(part.table.rows for part in self.parts)


@dataclass(frozen=True)
class Snapshot:
    """One version of a corpus. `num_rows` counts stored rows; drops are `derived` of that kind."""

    files: Files = field(repr=False, compare=False)
    name: str
    number: int
    num_rows: int
    corpus_sha256: str
    pieces: tuple[Piece, ...] = field(repr=False)
    derived: tuple[Derived, ...] = field(repr=False)

    @property
    def url(self) -> str:
        """The corpus that it is of."""
        return self.files.url

    @cached_property
    def commits(self) -> tuple[tuple[str, str], ...]:
        """(flow, fingerprint) of its commit entries, in table order."""
        return tuple(commit for piece in self.pieces for commit in piece.commits)

    @property
    def entries(self) -> tuple[str, ...]:
        """The fingerprints of its commit entries."""
        return tuple(task for _, task in self.commits)

    @cached_property
    def sha256(self) -> str:
        """Hash of all that decides which rows a reader sees: the files and the derived columns."""
        lines = [self.corpus_sha256, *(f"{one.name} {one.kind} {one.fingerprint}" for one in self.derived)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def num_uncovered(self, derived: Derived) -> int:
        """How many of its commit entries a derived column was not made from: they were committed later."""
        covered = {entry for part in derived.parts for entry in part.entries}
        return sum(task not in covered for _, task in self.commits)

    def read_entries(self) -> list[CommitEntry]:
        """Its commit entries, in table order. Raises CorpusError where one is missing or broken."""
        return [read_named(self.files, flow, task) for flow, task in self.commits]


def read_snapshot(where: "Files | str | os.PathLike[str]", name: str = "latest") -> Snapshot:
    """A snapshot by number (`"v000017"`), by a name that was given to it, or the latest.

    Raises CorpusError, naming what there is, where it does not exist or is broken.
    """
    files = files_of(where)
    wanted = name if snapshot_number(name) else read_pointer(files, LATEST if name == "latest" else f"{NAMES}/{name}")
    if wanted is None and name == "latest":
        raise CorpusError(f"there is no corpus at {files.url}: it holds no snapshot; make one with `calabash run`")
    try:
        if wanted is None:
            raise FileNotFoundError(name)
        data = files.read(snapshot_path(wanted))
    except FileNotFoundError:
        known = ", ".join([*list_snapshots(files), *list_names(files)]) or "none"
        raise CorpusError(f"corpus {files.url} has no snapshot {name!r}; there is: {known}") from None
    except OSError as error:
        raise CorpusError(f"snapshot {files.url}/{snapshot_path(wanted or name)} cannot be read: {error}") from error
    return decode_snapshot(files, wanted, data)


def decode_snapshot(files: Files, name: str, data: bytes) -> Snapshot:
    """A snapshot from its file's bytes. Raises CorpusError where they are not what was written there."""
    try:
        body = unseal(data)
        if body["format"] != FORMAT:
            raise ValueError(f"its format is {body['format']}, not {FORMAT}; read it with the version that wrote it")
        if body["name"] != name:
            raise ValueError(f"it is {body['name']!r}")
        return Snapshot(
            files=files,
            name=name,
            number=body["number"],
            num_rows=body["num_rows"],
            corpus_sha256=body["corpus_sha256"],
            pieces=tuple(map(_piece, body["pieces"])),
            derived=tuple(map(_derived, body["derived"])),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(
            f"snapshot {files.url}/{snapshot_path(name)} is broken: {error}; open an older one, or take it again"
        ) from error


def list_snapshots(where: "Files | str | os.PathLike[str]") -> list[str]:
    """The names of all numbered snapshots, oldest first."""
    files = files_of(where)
    stems = [found.path.removeprefix(f"{MANIFEST}/").removesuffix(".json") for found in files.list(MANIFEST)]
    numbers = sorted(number for number in map(snapshot_number, stems) if number)
    return [snapshot_name(number) for number in numbers]


def list_names(where: "Files | str | os.PathLike[str]") -> dict[str, str]:
    """The numbered snapshot behind each given name, by name."""
    files = files_of(where)
    paths = [found.path for found in files.list(NAMES)]
    return {path.removeprefix(f"{NAMES}/"): read_pointer(files, path) or "" for path in paths}


def read_pointer(files: Files, path: str) -> str | None:
    """The number that LATEST or a given name holds; None where there is none. Raises CorpusError where it is broken."""
    try:
        return unseal_line(files.read(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{files.url}/{path} cannot be read: {error}") from error


def _piece(body: dict[str, Any]) -> Piece:
    tables = {name: TableFile(**table) for name, table in body["tables"].items()}
    values: dict[str, Any] = {"tables": tables, "commits": tuple((flow, task) for flow, task in body["commits"])}
    return Piece(**{**body, **values})


def _derived(body: dict[str, Any]) -> Derived:
    parts = tuple(Part(TableFile(**part["table"]), tuple(part["entries"])) for part in body["parts"])
    values: dict[str, Any] = {"parts": parts}
    return Derived(**{**body, **values})
