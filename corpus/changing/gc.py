"""Collecting garbage: files of a corpus that no commit entry and no snapshot names, once they are old enough."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corpus.commit.entries import read_entries
from corpus.layout import DATA, DERIVED, PIECES, REJECTS
from corpus.manifest.snapshot import list_snapshots, read_snapshot
from corpus.sharing.view import DERIVED_VIEW
from corpus.store.files import Found
from corpus.store.writing import Store, store_of, writing

SAFE_AGE_S: Final = 24 * 3600.0
"""A writer publishes shards before the entry that names them: a file younger than this may be on its way."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """What was found: `removed` are corpus files (or would be, in a dry run), `young` those that may be on their way.

    `scratch` are leftovers of killed writers in the staging folder, of which only names are kept.
    """

    removed: tuple[Found, ...]
    young: tuple[Found, ...]
    scratch: tuple[str, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of the corpus files that were removed."""
        return sum(found.bytes for found in self.removed)


def collect(
    where: "Store | str | os.PathLike[str]", *, older_than_s: float = SAFE_AGE_S, dry_run: bool = False
) -> Garbage:
    """Remove what nothing names and what has not changed for `older_than_s` seconds.

    Commit entries, snapshots, names and rejects that an entry names are never garbage, nor is anything of
    an older snapshot. Raises CorpusError where an entry or a snapshot cannot be read: then nothing is
    removed, since what it names is not known.
    """
    store, now = store_of(where), time.time()
    found = list(_candidates(store))  # listed before the entries are read: an entry that comes between protects
    named = _named(store)
    orphans = [one for one in found if one.path not in named]
    old = [one for one in orphans if now - one.modified >= older_than_s]
    young = tuple(one for one in orphans if now - one.modified < older_than_s)
    with writing(store.url):
        removed = old if dry_run else [one for one in old if store.remove_unchanged(one)]
    return Garbage(tuple(removed), young, tuple(_clear(store.scratch, now - older_than_s, dry_run)))


def _candidates(store: Store) -> Iterator[Found]:
    for folder in (DATA, REJECTS, PIECES, DERIVED):
        yield from store.list(folder)
    yield from (found for found in store.list(DERIVED_VIEW) if found.path.endswith(".arrow"))


def _named(store: Store) -> set[str]:
    """Every file that an entry or a snapshot names."""
    named: set[str] = set()
    for entry in read_entries(store).values():
        named.update(file.path for file in (*entry.files, entry.rejects) if file)
    for name in list_snapshots(store):
        snapshot = read_snapshot(store, name)
        named.update(table.path for piece in snapshot.pieces for table in piece.tables.values())
        named.update(part.table.path for derived in snapshot.derived for part in derived.parts)
    with contextlib.suppress(FileNotFoundError):  # no snapshot has derived columns
        state = json.loads(store.read(f"{DERIVED_VIEW}/state.json"))
        named.update(f"{DERIVED_VIEW}/{file['filename']}" for file in state["_data_files"])
    return named


def _clear(scratch: Path, before: float, dry_run: bool) -> Iterator[str]:
    """Leftovers in the staging folder whose newest file is older than `before`."""
    for path in sorted(scratch.iterdir()) if scratch.is_dir() else ():
        try:
            newest = max(one.stat().st_mtime for one in (path, *path.rglob("*")))
            if newest >= before:
                continue
            if not dry_run:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except FileNotFoundError:
            continue  # its writer ended meanwhile
        yield path.name
