"""What must be true of a snapshot beside its shards: entries, tables, pointers, names, files that nothing names."""

from collections import Counter
from collections.abc import Iterator, Sequence

from corpus.audit.report import Problem, Unnamed
from corpus.commit.entries import CommitEntry, corpus_sha256, decode_entry
from corpus.layout import (
    COMMITS,
    DATA,
    DERIVED,
    LATEST,
    NAMES,
    PIECES,
    REJECTS,
    STAGING,
    commit_path,
    snapshot_path,
)
from corpus.manifest.snapshot import Piece, Snapshot, decode_snapshot, list_snapshots, read_snapshot
from corpus.manifest.tables import read_table
from corpus.sealed import seal_line
from corpus.store.files import Files, Found
from schemas.errors import CorpusError

FOLDERS = (DATA, REJECTS, DERIVED, PIECES, STAGING)
"""Where every file is named by a commit entry or a snapshot, or is unfinished work."""


def read_commits(files: Files, problems: list[Problem]) -> dict[tuple[str, str], CommitEntry]:
    """Every commit entry that can be read, by (flow, fingerprint); the others become problems."""
    entries: dict[tuple[str, str], CommitEntry] = {}
    for found in files.list(COMMITS):
        if not found.path.endswith(".json"):
            continue
        try:
            entry = decode_entry(files.url, found.path, files.read(found.path))
            entries[entry.flow, entry.task] = entry
        except FileNotFoundError:
            continue  # taken away since it was listed
        except (CorpusError, OSError) as error:
            problems.append(Problem(found.path, str(error)))
    return entries


def read_snapshots(files: Files, problems: list[Problem]) -> dict[str, Snapshot]:
    """Every snapshot that can be read, by name; the others become problems."""
    snapshots: dict[str, Snapshot] = {}
    for name in list_snapshots(files):
        try:
            snapshots[name] = decode_snapshot(files, name, files.read(snapshot_path(name)))
        except FileNotFoundError:
            continue  # taken away since it was listed
        except (CorpusError, OSError) as error:
            problems.append(Problem(snapshot_path(name), str(error)))
    return snapshots


def missing_commits(snapshot: Snapshot, entries: dict[tuple[str, str], CommitEntry]) -> Iterator[Problem]:
    """Commit entries of a snapshot that are not there."""
    for flow, task in snapshot.commits:
        if (flow, task) not in entries:
            what = f"it is of snapshot {snapshot.name} and is missing or broken; restore it from a copy of the corpus"
            yield Problem(commit_path(flow, task), what)


def snapshot_problems(snapshot: Snapshot, entries: Sequence[CommitEntry]) -> Iterator[Problem]:
    """Sums and hashes that its commit entries (all of them) do not give, and tables that changed."""
    path = snapshot_path(snapshot.name)
    if corpus_sha256(entries) != snapshot.corpus_sha256:
        yield Problem(path, "corpus_sha256 is not the hash of its commit entries' files")
    if sum(entry.num_rows for entry in entries) != snapshot.num_rows:
        yield Problem(path, f"num_rows is {snapshot.num_rows}, which its commit entries do not add up to")
    named = {(entry.flow, entry.task): entry for entry in entries}
    for number, piece in enumerate(snapshot.pieces):
        own = [named[commit] for commit in piece.commits]
        if (piece.num_files, piece.num_batches, piece.num_rows, dict(piece.cells)) != _counts(own):
            yield Problem(path, f"piece {number} counts other files, batches, rows or cells than its commit entries")
        yield from _table_problems(snapshot.files, piece)


def _counts(entries: Sequence[CommitEntry]) -> tuple[int, int, int, dict[str, int]]:
    """Files, batches, rows and cells of data files."""
    files = [file for entry in entries for file in entry.files]
    cells: Counter[str] = Counter()
    for file in files:
        for batch in file.batches:
            cells.update(batch.cells)
    return len(files), sum(len(file.batches) for file in files), sum(file.rows for file in files), dict(cells)


def _table_problems(files: Files, piece: Piece) -> Iterator[Problem]:
    rows = {"files": piece.num_files, "batches": piece.num_batches, "samples": piece.num_rows, "keys": piece.num_rows}
    for kind, table in piece.tables.items():
        try:
            found = read_table(files, table).num_rows
        except CorpusError as error:
            yield Problem(table.path, str(error))
            continue
        if not found == table.rows == rows.get(kind, found):
            yield Problem(table.path, f"it holds {found} rows; the snapshot says {table.rows} and {rows.get(kind)}")


def pointer_problems(files: Files) -> Iterator[Problem]:
    """LATEST and given names that do not open, or whose bytes are not those that are written there."""
    paths = [LATEST, *(found.path for found in files.list(NAMES))]
    for path in paths:
        try:
            data = files.read(path)
        except FileNotFoundError:
            continue  # no run got as far as LATEST; `read_snapshot` says what a reader sees
        except OSError as error:
            yield Problem(path, f"it cannot be read: {error}")
            continue
        try:
            opened = read_snapshot(files, "latest" if path == LATEST else path.removeprefix(f"{NAMES}/"))
        except CorpusError as error:
            yield Problem(path, f"it opens no snapshot: {error}; write the name of one into it")
            continue
        if data != seal_line(opened.name):
            yield Problem(path, f"it says {data[:80]!r}, which is not how {opened.name} is written")


def unnamed_files(files: Files, entries: Sequence[CommitEntry], snapshots: Sequence[Snapshot]) -> Unnamed:
    """Files that no commit entry and no snapshot names: not wrong, and `gc` takes them away when they are old."""
    named = {file.path for entry in entries for file in (*entry.files, entry.rejects) if file}
    for snapshot in snapshots:
        named.update(table.path for piece in snapshot.pieces for table in piece.tables.values())
        named.update(part.table.path for one in snapshot.derived for part in one.parts)
    found: list[Found] = [one for folder in FOLDERS for one in files.list(folder) if one.path not in named]
    return Unnamed(len(found), sum(one.bytes for one in found))
