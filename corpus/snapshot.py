"""Snapshots: named, immutable, numbered versions of the manifest, and the pointer to the latest."""

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpus.entries import CommitEntry, read_entries, read_named
from corpus.layout import CARD, LATEST, MANIFEST, STAGING, snapshot_name, snapshot_number
from corpus.selection import select
from corpus.store import create_folder_if_absent, make_folder, replace, write_file, writing
from schemas.errors import CorpusError
from schemas.task import Task

FORMAT: Final = 1
"""Raised when a key of `manifest.json` or a column of the tables changes meaning."""


def take_snapshot(root: Path, planned: Sequence[Task]) -> "Snapshot":
    """The snapshot of what is committed, for this plan; the latest one where nothing changed.

    `corpus.selection.select` has the rule. A new one also rewrites the README and the
    `load_from_disk` view. Raises CorpusError where a committed shard is broken or nothing can be
    written.
    """
    while True:
        previous = _newest(root)
        named = previous.entries if previous else ()
        entries = select(read_entries(root), named, planned)
        snapshot = previous
        if previous is None or {entry.task for entry in entries} != set(named):
            snapshot = _publish(root, previous.number + 1 if previous else 1, entries)
        if snapshot:
            _present(root)
            return snapshot


def read_snapshot(root: Path, name: str = "latest") -> "Snapshot":
    """A snapshot by name. Raises CorpusError, naming what there is, where it does not exist or is broken."""
    wanted = _pointer(root) if name == "latest" else name
    if wanted is None:
        raise CorpusError(f"there is no corpus at {root}: it holds no snapshot; make one with `calabash run`")
    path = root / MANIFEST / wanted / "manifest.json"
    try:
        body = json.loads(path.read_bytes())
        commits = tuple((flow, task) for flow, task in body["commits"])
        return Snapshot(
            name=body["name"],
            number=body["number"],
            path=path.parent,
            commits=commits,
            num_rows=body["num_rows"],
            corpus_sha256=body["corpus_sha256"],
            tables=body["tables"],
        )
    except FileNotFoundError:
        known = ", ".join(list_snapshots(root)) or "none"
        raise CorpusError(f"corpus {root} has no snapshot {wanted!r}; there is: {known}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"snapshot {path} is broken: {error}; open an older one, or take it again") from error


def list_snapshots(root: Path) -> list[str]:
    """The names of all snapshots, oldest first."""
    folders = [path.name for path in (root / MANIFEST).glob("v*") if snapshot_number(path.name)]
    return sorted(folders, key=lambda name: snapshot_number(name) or 0)


def corpus_sha256(entries: Sequence[CommitEntry]) -> str:
    """Hash of the data files' paths, checksums and rows: of what is in a corpus, not of how it came to be."""
    lines = sorted(f"{file.path} {file.xxh3_128} {file.rows}\n" for entry in entries for file in entry.files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextlib.contextmanager
def _staging(root: Path) -> Generator[Path, None, None]:
    folder = root / STAGING / f"snapshot-{uuid.uuid4().hex}"
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _newest(root: Path) -> "Snapshot | None":
    """The snapshot with the highest number, even where a crash left LATEST behind it."""
    names = list_snapshots(root)
    return read_snapshot(root, names[-1]) if names else None


def _pointer(root: Path) -> str | None:
    try:
        return (root / LATEST).read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorpusError(f"{root / LATEST} cannot be read: {error}") from error


def _publish(root: Path, number: int, entries: Sequence[CommitEntry]) -> "Snapshot | None":
    """Write snapshot `number` and publish it; None where another process took the number."""
    from corpus.tables import write_tables

    name = snapshot_name(number)
    with writing(root), _staging(root) as staging:
        folder = staging / name
        make_folder(folder)
        write_tables(root, entries, folder)
        body: dict[str, Any] = {
            "format": FORMAT,
            "name": name,
            "number": number,
            "commits": [[entry.flow, entry.task] for entry in entries],
            "num_rows": sum(entry.num_rows for entry in entries),
            "corpus_sha256": corpus_sha256(entries),
            "tables": {path.name: _sha256(path) for path in sorted(folder.glob("*.parquet"))},
        }
        write_file(folder / "manifest.json", (json.dumps(body, indent=1) + "\n").encode())
        created = create_folder_if_absent(folder, root / MANIFEST / name)
    return read_snapshot(root, name) if created else None


def _present(root: Path) -> None:
    """Make the newest snapshot the one that everybody opens, also where another process publishes too."""
    while (newest := _newest(root)) and _pointer(root) != newest.name:
        from corpus.card import card
        from corpus.view import write_view

        entries = newest.read_entries()
        with writing(root), _staging(root) as staging:
            write_view(root, newest, entries, staging)
            replace(staging / "card", root / CARD, card(newest, entries).encode())
            replace(staging / "latest", root / LATEST, f"{newest.name}\n".encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a corpus.

    `commits` are (flow, fingerprint) of its commit entries, in table order; `tables` are the SHA-256 of
    its Parquet files by name.
    """

    name: str
    number: int
    path: Path
    commits: tuple[tuple[str, str], ...]
    num_rows: int
    corpus_sha256: str
    tables: Mapping[str, str]

    @property
    def root(self) -> Path:
        """The corpus folder."""
        return self.path.parent.parent

    @property
    def entries(self) -> tuple[str, ...]:
        """The fingerprints of its commit entries."""
        return tuple(task for _, task in self.commits)

    def read_entries(self) -> list[CommitEntry]:
        """Its commit entries, in table order. Raises CorpusError where one is missing or broken."""
        return [read_named(self.root, flow, task) for flow, task in self.commits]
