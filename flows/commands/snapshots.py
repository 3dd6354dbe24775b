"""Commands about versions of a corpus: snapshot, diff, gc."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from corpus.changing.taking import name_snapshot, take_snapshot
from corpus.manifest.snapshot import Derived, Snapshot, list_names, list_snapshots, read_snapshot
from flows.commands.options import Config, Json, params_of
from flows.commands.printing import OUT, print_json
from flows.plan import make_plan, open_store
from schemas.errors import ConfigError
from schemas.pipeline import load

Name = Annotated[str | None, typer.Argument(help="A name for it, for ever, such as v1.", show_default=False)]
Of = Annotated[str | None, typer.Option("--of", help="Name this snapshot instead of a new one.", show_default=False)]
List = Annotated[bool, typer.Option("--list", "-l", help="List what there is, and take none.")]
Before = Annotated[str, typer.Argument(help="The older snapshot: a number or a name.")]
After = Annotated[str, typer.Argument(help="The newer one.")]
Age = Annotated[str, typer.Option("--older-than", help="Spare files younger than this: 24h, 30m, 7d, 0s.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")]

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def snapshot(
    name: Name = None, of: Of = None, list_: List = False, config: Config = "pipeline.toml", json: Json = False
) -> None:
    """Take a snapshot of what is committed for pipeline.toml, and name it; or list the snapshots."""
    if list_:
        _list(config, json)
        return
    pipeline = load(Path(config))
    if of is None:
        plan = make_plan(tuple(pipeline.flows), params_of(config))
        taken = take_snapshot(plan.store, plan.tasks)
    else:
        taken = read_snapshot(open_store(pipeline, config), of)
    if name is not None:
        name_snapshot(open_store(pipeline, config), name, taken.name)
    if json:
        print_json({"snapshot": taken.name, "given_name": name, **_facts(taken)})
    else:
        called = f", named {name}" if name else ""
        OUT.print(f"snapshot {taken.name}{called}: {taken.num_rows:,} rows in {taken.url}", highlight=False)


def _list(config: str, json: bool) -> None:
    store = open_store(load(Path(config)), config)
    names: dict[str, list[str]] = {}
    for given, number in list_names(store).items():
        names.setdefault(number, []).append(given)
    rows = [
        {"snapshot": one.name, "names": names.get(one.name, []), **_facts(one)}
        for one in (read_snapshot(store, number) for number in list_snapshots(store))
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        given = f" ({', '.join(row['names'])})" if row["names"] else ""
        extra = f"; {', '.join(row['derived'])}" if row["derived"] else ""
        OUT.print(f"{row['snapshot']}{given}: {row['rows']:,} rows, {row['tasks']:,} tasks{extra}", highlight=False)


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "rows": snapshot.num_rows,
        "tasks": len(snapshot.commits),
        "corpus_sha256": snapshot.corpus_sha256,
        "derived": [_about(snapshot, one) for one in snapshot.derived],
    }


def _about(snapshot: Snapshot, derived: Derived) -> str:
    """A derived column in words; that newer tasks are not in it, too."""
    num = snapshot.num_uncovered(derived)
    stale = f", before {num:,} newer tasks" if num else ""
    return f"{derived.name} ({derived.kind}, {derived.num_rows:,} rows{stale})"


def diff(before: Before, after: After = "latest", config: Config = "pipeline.toml", json: Json = False) -> None:
    """What is between two snapshots: tasks, rows by tag, derived columns."""
    from corpus.manifest.diff import Change  # pulls in pyarrow
    from corpus.manifest.diff import diff as between

    found = between(open_store(load(Path(config)), config), before, after)
    if json:
        both = {"added": _change_of(found.added), "removed": _change_of(found.removed)}
        print_json({"before": found.before, "after": found.after, **both, "derived": found.derived})
        return
    OUT.print(f"{found.before} -> {found.after}", highlight=False)
    sides: list[tuple[str, Change]] = [("+", found.added), ("-", found.removed)]
    for sign, change in sides:
        OUT.print(f"{sign} {len(change.tasks):,} tasks, {change.num_rows:,} rows", highlight=False)
        for flow_source, rows in _by_source(change).items():
            OUT.print(f"  {sign} {flow_source}: {rows:,} rows", highlight=False)
        for cell, rows in change.cells.items():
            OUT.print(f"  {sign} {cell.replace('|', ', ')}: {rows:,}", highlight=False)
    for name, what in found.derived.items():
        OUT.print(f"  {name}: {what}", highlight=False)


def _change_of(change: Any) -> dict[str, Any]:
    tasks = [{"flow": f, "source": s, "task": t, "rows": rows} for (f, s, t), rows in change.tasks.items()]
    return {"num_rows": change.num_rows, "tasks": tasks, "cells": change.cells}


def _by_source(change: Any) -> dict[str, int]:
    sums: dict[str, int] = {}
    for (flow, source, _), rows in change.tasks.items():
        key = f"{flow} {source}".strip()
        sums[key] = sums.get(key, 0) + rows
    return sums


def gc(config: Config = "pipeline.toml", older_than: Age = "24h", dry_run: DryRun = False, json: Json = False) -> None:
    """Remove files that no commit entry and no snapshot names, such as those of killed or beaten writers."""
    from corpus.changing.gc import collect

    garbage = collect(open_store(load(Path(config)), config), older_than_s=_seconds(older_than), dry_run=dry_run)
    if json:
        print_json({"dry_run": dry_run, "num_bytes": garbage.num_bytes, **dataclasses.asdict(garbage)})
        return
    verb = "would remove" if dry_run else "removed"
    for found in garbage.removed:
        OUT.print(f"  {found.path} ({found.bytes:,} bytes)", highlight=False)
    OUT.print(
        f"{verb} {len(garbage.removed):,} files ({garbage.num_bytes:,} bytes) and {len(garbage.scratch):,} leftovers "
        f"in staging; spared {len(garbage.young):,} files younger than {older_than}",
        highlight=False,
    )


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if match is None:
        raise ConfigError(f"--older-than: {text!r} is no time span; write a number and s, m, h or d, such as 24h")
    return float(match[1]) * SECONDS[match[2]]
