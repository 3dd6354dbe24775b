"""Takedowns: rows that the kept rules name are dropped from the snapshot, and from every later one."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from corpus.changing.takedown_rules import FORMAT, Rule, keep_rules, kept_rules, list_paths
from corpus.manifest.snapshot import Derived, Part, Snapshot, read_snapshot
from corpus.store.writing import Store, store_of

if TYPE_CHECKING:
    import pyarrow as pa  # 0.1 s, which a run with nothing to do does not pay

NAME: Final = "takedown"
"""The derived drop that the rules make."""
COLUMNS: Final = {"reason": "string", "rule": "string", "why": "string"}
"""What the drop says of a row: "takedown", the rule (`<list>#<number>`, from 1), and its reason."""


def takedown_drops(store: Store, snapshot: Snapshot) -> Derived | None:
    """What the kept rules drop of a snapshot, which need not be published yet; None where there are no rules.

    Entries that the snapshot's own drop of these rules covers are not looked at again. Raises CorpusError
    where a list is broken or nothing can be written.
    """
    paths = list_paths(store)
    if not paths:
        return None
    fingerprint = hashlib.sha256("\n".join([NAME, str(FORMAT), *paths]).encode()).hexdigest()
    previous = next((one for one in snapshot.derived if one.name == NAME and one.fingerprint == fingerprint), None)
    parts = previous.parts if previous else ()
    covered = {task for part in parts for task in part.entries}
    new = tuple(task for task in snapshot.entries if task not in covered)
    if new:
        from corpus.changing.deriving import write

        values = _values(snapshot, kept_rules(store), frozenset(new))
        parts = (*parts, Part(write(store, NAME, values), new))
    return Derived(name=NAME, kind="drop", fingerprint=fingerprint, columns=COLUMNS, parts=parts)


def with_takedowns(store: Store, snapshot: Snapshot) -> Snapshot:
    """A snapshot, published or not, with the rows dropped that the kept rules name."""
    drops = takedown_drops(store, snapshot)
    if drops is None:
        return snapshot
    others = [one for one in snapshot.derived if one.name != NAME]
    return dataclasses.replace(snapshot, derived=tuple(sorted([*others, drops], key=lambda one: one.name)))


def take_down(where: "Store | str | os.PathLike[str]", rules: Iterable[Rule]) -> Snapshot:
    """Keep rules, and take the snapshot without the rows that they name; the latest where nothing changed.

    Raises CorpusError where there is no corpus, or nothing can be written.
    """
    from corpus.changing.taking import publish_next

    store = store_of(where)
    read_snapshot(store)  # rules for a corpus that is not there would be lost with the folder
    keep_rules(store, rules)

    def change(previous: Snapshot | None) -> Snapshot | None:
        wanted = with_takedowns(store, previous) if previous else None
        return None if wanted is None or previous is None or wanted.derived == previous.derived else wanted

    return publish_next(store, change)


def matches(snapshot: Snapshot, rules: Mapping[str, Rule]) -> dict[str, int]:
    """How many stored rows of a snapshot each rule names, by the rule's name; rows that are dropped count too."""
    counts = dict.fromkeys(rules, 0)
    for _, _, table in _tables(snapshot, frozenset(snapshot.entries)):
        for name, rule in rules.items():
            counts[name] += _matching(table, rule).true_count
    return counts


def _values(snapshot: Snapshot, rules: Mapping[str, Rule], entries: frozenset[str]) -> "pa.Table":
    """The drop's side table for the rows of some entries; a row is named by the first rule that matches it."""
    import pyarrow as pa

    from corpus.changing.deriving import place_rows
    from corpus.compute import pc
    from corpus.manifest.places import Places

    found: dict[int, str] = {}
    for first, mine, table in _tables(snapshot, entries):
        for name, rule in rules.items():
            for row in pc.indices_nonzero(pc.and_(_matching(table, rule), mine)).to_pylist():
                found.setdefault(first + row, name)
    rows = sorted(found)
    names = [found[row] for row in rows]
    said = {"reason": [NAME] * len(rows), "rule": names, "why": [rules[name].why for name in names]}
    columns = {name: pa.array(values, pa.string()) for name, values in said.items()}
    return pa.table({**place_rows(Places(snapshot), rows), **columns})


def _tables(snapshot: Snapshot, entries: frozenset[str]) -> "Iterator[tuple[int, pa.BooleanArray, pa.Table]]":
    """The pieces that hold rows of some entries: (its first row, which rows are theirs, the columns of KEYS)."""
    import pyarrow as pa

    from corpus.manifest.tables import read_table

    first = 0
    for piece in snapshot.pieces:
        if entries.intersection(task for _, task in piece.commits):
            keys = read_table(snapshot.files, piece.tables["keys"], ["id", "record_id", "group_id"])
            table = read_table(snapshot.files, piece.tables["samples"], ["source", "license"])
            for name in keys.column_names:
                table = table.append_column(name, keys.column(name))
            files = read_table(snapshot.files, piece.tables["files"], ["entry", "rows"]).to_pylist()
            mine = [bit for file in files for bit in [file["entry"] in entries] * file["rows"]]
            yield first, pa.array(mine, pa.bool_()), table.combine_chunks()
        first += piece.num_rows


def _matching(table: "pa.Table", rule: Rule) -> "pa.BooleanArray":
    import pyarrow as pa

    from corpus.compute import pc

    bits: Any = None
    for column, value in rule.keys.items():
        values = table.column(column).combine_chunks()
        if column == "license":
            named = [text for text in map(str, values.unique().to_pylist()) if value in text.split(" AND ")]
            found = pc.is_in(values, pa.array(named, pa.string()))
        else:
            found = pc.equal(values, value)
            if column == "group_id" and rule.source is not None:
                found = pc.or_(found, pc.equal(pc.replace_substring_regex(values, "^[^:]*:", ""), value))
        bits = found if bits is None else pc.and_(bits, found)
    return bits
