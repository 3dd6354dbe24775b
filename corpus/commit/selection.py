"""Which commit entries count: what of a plan is done, and what a snapshot is made of."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from corpus.commit.entries import CommitEntry
from schemas.errors import CorpusError
from schemas.task import Task

Key = tuple[str, str, str, str]
"""(flow, source, shard, recipe hash): entries of one key make the same rows from the same records."""


def done(entries: Mapping[str, CommitEntry], planned: Sequence[Task]) -> dict[str, CommitEntry]:
    """The entry that covers each finished planned task, by the task's fingerprint.

    An entry covers the tasks whose ranges it contains, given the same recipe, unless it also cuts
    through another planned task: then a snapshot could hold neither both nor one without a hole.
    Among entries that overlap, the longest wins, so no record is covered twice.
    Planned tasks of one source shard must not overlap.
    """
    by_key: dict[Key, list[CommitEntry]] = defaultdict(list)
    for entry in entries.values():
        by_key[entry.flow, entry.source, entry.shard, entry.recipe_sha256].append(entry)
    plan: dict[Key, list[Task]] = defaultdict(list)
    for task in planned:
        plan[task.flow, task.source, task.shard, task.recipe_sha256].append(task)
    finished: dict[str, CommitEntry] = {}
    for key, tasks in plan.items():
        finished.update(_done_of_key(by_key.get(key, []), sorted(tasks, key=lambda task: task.start)))
    return finished


def select(entries: Mapping[str, CommitEntry], previous: Iterable[str], planned: Sequence[Task]) -> list[CommitEntry]:
    """The entries of the next snapshot, in the order of flow, source, shard and range.

    They are those that cover planned tasks; of the `previous` snapshot's (fingerprints), those of flows
    and sources that are not planned, and those of a planned recipe that overlap none of the chosen.
    Raises CorpusError where a previous entry is gone.
    """
    chosen = {entry.task: entry for entry in done(entries, planned).values()}
    recipes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for task in planned:
        recipes[task.flow, task.source].add(task.recipe_sha256)
    taken: dict[tuple[str, str, str], list[CommitEntry]] = defaultdict(list)
    for entry in chosen.values():
        taken[entry.flow, entry.source, entry.shard].append(entry)
    for fingerprint in previous:
        if fingerprint in chosen:
            continue
        if fingerprint not in entries:
            raise CorpusError(
                f"commit entry {fingerprint} of the latest snapshot is missing from commits/; "
                "restore it from a copy of the corpus"
            )
        entry = entries[fingerprint]
        known = recipes.get((entry.flow, entry.source))
        rivals = taken[entry.flow, entry.source, entry.shard]
        if known is None or (entry.recipe_sha256 in known and not any(_overlap(entry, rival) for rival in rivals)):
            chosen[fingerprint] = entry
    return sorted(chosen.values(), key=lambda e: (e.flow, e.source, e.shard, e.start, e.stop, e.task))


def _done_of_key(entries: Sequence[CommitEntry], tasks: Sequence[Task]) -> dict[str, CommitEntry]:
    """`done` for the entries and the tasks (sorted, disjoint) of one key."""
    starts, stops = [task.start for task in tasks], [task.stop for task in tasks]
    finished: dict[str, CommitEntry] = {}
    kept: list[CommitEntry] = []
    kept_starts: list[int] = []
    for entry in sorted(entries, key=lambda e: (e.start - e.stop, e.start, e.task)):
        touched = tasks[bisect_right(stops, entry.start) : bisect_left(starts, entry.stop)]
        aligned = all(entry.start <= task.start and task.stop <= entry.stop for task in touched)
        place = bisect_left(kept_starts, entry.start)
        clashes = any(_overlap(entry, other) for other in kept[max(place - 1, 0) : place + 1])
        if touched and aligned and not clashes:
            kept.insert(place, entry)
            kept_starts.insert(place, entry.start)
            finished.update((task.fingerprint, entry) for task in touched)
    return finished


def _overlap(one: CommitEntry, other: CommitEntry) -> bool:
    """Whether two entries of one source shard hold a common record."""
    return one.start < other.stop and other.start < one.stop
