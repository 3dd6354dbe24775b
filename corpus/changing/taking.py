"""Taking snapshots: the next number for what is committed, or for what was learnt about it since."""

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict

from corpus.commit.entries import corpus_sha256, read_entries
from corpus.commit.selection import select
from corpus.layout import LATEST, NAMES, snapshot_name, snapshot_path
from corpus.manifest.snapshot import FORMAT, Derived, Snapshot, list_snapshots, read_pointer, read_snapshot
from corpus.sealed import seal, seal_line
from corpus.store.writing import Store, store_of, writing
from schemas.errors import CorpusError
from schemas.task import Task


def take_snapshot(where: "Store | str | os.PathLike[str]", planned: Sequence[Task]) -> Snapshot:
    """The snapshot of what is committed, for this plan; the latest one where nothing changed.

    `corpus.commit.selection.select` has the rule. Derived columns of the latest stay, for the rows that
    stay. A new one also rewrites the README and the `load_from_disk` view. Raises CorpusError where a
    committed shard is broken or nothing can be written.
    """
    store = store_of(where)

    from corpus.changing.takedown import with_takedowns

    def change(previous: Snapshot | None) -> Snapshot | None:
        named = previous.entries if previous else ()
        entries = select(read_entries(store), named, planned)
        if previous is not None and {entry.task for entry in entries} == set(named):
            wanted = with_takedowns(store, previous)  # rules kept by a process that died before its snapshot
            return None if wanted.derived == previous.derived else wanted
        from corpus.manifest.pieces import make_pieces  # pyarrow: not for a run with nothing to do

        pieces = make_pieces(store, entries, previous.pieces if previous else ())
        snapshot = Snapshot(
            files=store,
            name="",
            number=0,
            num_rows=sum(piece.num_rows for piece in pieces),
            corpus_sha256=corpus_sha256(entries),
            pieces=pieces,
            derived=_still_about(previous, {entry.task for entry in entries}),
        )
        return with_takedowns(store, snapshot)

    return publish_next(store, change)


def add_derived(where: "Store | str | os.PathLike[str]", derived: Derived) -> Snapshot:
    """The next snapshot: the latest with this derived column, in place of one of the same name."""
    store = store_of(where)

    def change(previous: Snapshot | None) -> Snapshot | None:
        if previous is None:
            raise CorpusError(f"there is no corpus at {store.url}: it holds no snapshot; make one with `calabash run`")
        others = [one for one in previous.derived if one.name != derived.name]
        wanted = tuple(sorted([*others, derived], key=lambda one: one.name))
        return None if wanted == previous.derived else dataclasses.replace(previous, derived=wanted)

    return publish_next(store, change)


def publish_next(store: Store, change: Callable[[Snapshot | None], Snapshot | None]) -> Snapshot:
    """Publish what `change` makes of the newest snapshot (None: nothing new), under the next free number.

    Where another process takes the number, `change` is asked again about that one's snapshot.
    """
    while True:
        previous = _newest(store)
        with writing(store.url):
            wanted = change(previous)
            snapshot = previous if wanted is None else _publish(store, wanted, previous)
        if snapshot is not None:
            _present(store)
            return snapshot


def name_snapshot(where: "Store | str | os.PathLike[str]", name: str, snapshot: str = "latest") -> Snapshot:
    """Give a snapshot a name such as "v1", for ever. Raises CorpusError for a name that is taken or reserved."""
    store = store_of(where)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == "latest" or re.fullmatch(r"v\d{6,}", name):
        raise CorpusError(
            f"a snapshot cannot be named {name!r}: use letters, digits, '.', '_' and '-'; "
            "'latest' and numbers such as v000001 are taken"
        )
    opened = read_snapshot(store, snapshot)
    with writing(store.url):
        created = store.create(f"{NAMES}/{name}", seal_line(opened.name))
    holder = read_snapshot(store, name)
    if not created and holder.name != opened.name:
        raise CorpusError(f"the name {name!r} is given to {holder.name} already, and names do not move; choose another")
    return holder


def _still_about(previous: Snapshot | None, entries: set[str]) -> tuple[Derived, ...]:
    """The derived columns of a snapshot, without parts of which no row is left."""
    kept: list[Derived] = []
    for derived in previous.derived if previous else ():
        parts = tuple(part for part in derived.parts if entries.intersection(part.entries))
        kept.append(dataclasses.replace(derived, parts=parts))
    return tuple(kept)


def _newest(store: Store) -> Snapshot | None:
    """The snapshot with the highest number, even where a crash left LATEST behind it."""
    names = list_snapshots(store)
    return read_snapshot(store, names[-1]) if names else None


def _publish(store: Store, wanted: Snapshot, previous: Snapshot | None) -> Snapshot | None:
    """Publish a snapshot after `previous`; None where another process took the number."""
    number = previous.number + 1 if previous else 1
    snapshot = dataclasses.replace(wanted, name=snapshot_name(number), number=number)
    body = {
        "format": FORMAT,
        "name": snapshot.name,
        "number": number,
        "num_rows": snapshot.num_rows,
        "corpus_sha256": snapshot.corpus_sha256,
        "pieces": [asdict(piece) for piece in snapshot.pieces],
        "derived": [asdict(derived) for derived in snapshot.derived],
    }
    return snapshot if store.create(snapshot_path(snapshot.name), seal(body)) else None


def _present(store: Store) -> None:
    """Make the newest snapshot the one that everybody opens, also where another process publishes too."""
    from corpus.sharing.card import write_card
    from corpus.sharing.view import write_view

    while (newest := _newest(store)) and _latest(store) != newest.name:
        with writing(store.url):
            write_view(store, newest)
            write_card(store, newest)
            store.replace(LATEST, seal_line(newest.name))


def _latest(store: Store) -> str | None:
    """What LATEST says; None also where it is broken, since it is about to be written again."""
    try:
        return read_pointer(store, LATEST)
    except CorpusError:
        return None
