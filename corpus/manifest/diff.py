"""What is between two snapshots: tasks, rows by flow, source and tag, derived columns. Shared pieces stay unread."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from corpus.manifest.snapshot import Piece, Snapshot, read_snapshot
from corpus.manifest.tables import read_table
from corpus.store.files import Files


@dataclass(frozen=True, slots=True)
class Change:
    """What one side has and the other has not: `tasks` are (flow, source, fingerprint) with their stored rows."""

    tasks: Mapping[tuple[str, str, str], int]
    cells: Mapping[str, int]

    @property
    def num_rows(self) -> int:
        """Stored rows over all tasks."""
        return sum(self.tasks.values())


@dataclass(frozen=True, slots=True)
class Diff:
    """From `before` to `after`. `derived` says for each derived column that differs "added", "removed" or "changed"."""

    before: str
    after: str
    added: Change
    removed: Change
    derived: Mapping[str, str]


def diff(where: "Files | str | os.PathLike[str]", before: str, after: str = "latest") -> Diff:
    """How snapshot `after` differs from `before`. Raises CorpusError where one does not exist or is broken."""
    old, new = read_snapshot(where, before), read_snapshot(where, after)
    shared = {piece.commits for piece in old.pieces} & {piece.commits for piece in new.pieces}
    kept = set(old.entries) & set(new.entries)
    return Diff(
        before=old.name,
        after=new.name,
        added=_change(new, (piece for piece in new.pieces if piece.commits not in shared), kept),
        removed=_change(old, (piece for piece in old.pieces if piece.commits not in shared), kept),
        derived=_derived(old, new),
    )


def _change(snapshot: Snapshot, pieces: Iterable[Piece], kept: set[str]) -> Change:
    """The tasks of these pieces that are not `kept`, with their rows."""
    tasks: Counter[tuple[str, str, str]] = Counter()
    cells: Counter[str] = Counter()
    for piece in pieces:
        own = {task for _, task in piece.commits} - kept
        files = read_table(snapshot.files, piece.tables["files"], ["flow", "source", "entry", "rows"]).to_pylist()
        for file in files:
            if file["entry"] in own:
                tasks[file["flow"], file["source"], file["entry"]] += file["rows"]
        batches = read_table(snapshot.files, piece.tables["batches"], ["file", "cells"]).to_pylist()
        for batch in batches:
            if files[batch["file"]]["entry"] in own:
                cells.update(dict(batch["cells"]))
        named = {entry for _, _, entry in tasks}
        empty = [(flow, task) for flow, task in piece.commits if task in own - named]
        tasks.update({(flow, "", task): 0 for flow, task in empty})
    return Change(dict(sorted(tasks.items())), dict(sorted(cells.items())))


def _derived(old: Snapshot, new: Snapshot) -> dict[str, str]:
    before, after = ({one.name: one for one in snapshot.derived} for snapshot in (old, new))
    found: dict[str, str] = {}
    for name in sorted({*before, *after}):
        if name not in before:
            found[name] = "added"
        elif name not in after:
            found[name] = "removed"
        elif before[name] != after[name]:
            found[name] = "changed"
    return found
