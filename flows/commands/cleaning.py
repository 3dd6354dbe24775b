"""Commands that take rows out of a corpus: dedup, decontaminate, takedown. No shard is rewritten."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from flows.commands.options import Config, Json
from flows.commands.printing import OUT, print_json
from flows.plan import open_store, own_entries
from flows.recipe import work_root
from schemas.pipeline import load
from sources.catalogue import load_catalogue

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be dropped, and write the report.")]
Benchmarks = Annotated[list[str] | None, typer.Argument(help="Benchmarks of the catalogue.", show_default=False)]
Data = Annotated[
    Path | None, typer.Option("--data", help="Where the benchmarks' folders are, instead of their entries' paths.")
]
Before = Annotated[
    bool, typer.Option("--before", help="Look at the flows' records instead: the next run rejects what is found.")
]
RulesFile = Annotated[Path, typer.Argument(help="TOML with [[rules]], or JSON lines: what must go, and why.")]


def dedup(
    jaccard: Annotated[
        float, typer.Option("--jaccard", min=0.3, max=1.0, help="Near texts: least Jaccard index.")
    ] = 0.8,
    per_group: Annotated[
        int, typer.Option("--per-group", min=0, help="Rows of a patient or article in a flow (0: any number).")
    ] = 10,
    dry_run: DryRun = False,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Drop rows that repeat others, or whose patient or article crosses splits, into a new snapshot."""
    from corpus.likeness.items import Bounds
    from flows.duplicates import drop_duplicates
    from flows.likeness_report import write_report

    pipeline = load(Path(config))
    bounds = Bounds(jaccard=jaccard, per_group=per_group or None)
    document, taken = drop_duplicates(open_store(pipeline, config), bounds, not dry_run)
    page = write_report(work_root(pipeline, config), document)
    if json:
        print_json({**document, "snapshot": taken, "report": str(page)})
        return
    for reason, count in document["removed"].items():
        OUT.print(f"  {reason:<18} {count:,}", highlight=False)
    _say(document, None if dry_run else taken, page)


def decontaminate(
    benchmarks: Benchmarks = None,
    data: Data = None,
    before: Before = False,
    dry_run: DryRun = False,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Drop rows that hold a benchmark's questions or pictures into a new snapshot, with a report of each.

    Without names, every benchmark of the catalogue whose data is here. With --before, the records of the
    flows are looked at instead of rows, and found ones become counted rejects of the next run: what a
    teacher was never asked is never paid. That list replaces the one before it.
    """
    from flows.benchmarks import Shelf, chosen, read_benchmark
    from flows.likeness_report import write_report
    from flows.screening import screen_records, screen_rows

    pipeline = load(Path(config))
    store, catalogue = open_store(pipeline, config), load_catalogue(own_entries(pipeline, config))
    here, absent = chosen(benchmarks, catalogue, data)
    taken = None
    with Shelf() as shelf:
        read = [read_benchmark(entry, shelf) for entry in here]
        if before:
            document = screen_records(store, pipeline, catalogue, read, not dry_run)
        else:
            document, taken = screen_rows(store, read, not dry_run)
    document = {**document, "not_checked": absent}
    page = write_report(work_root(pipeline, config), document)
    if json:
        print_json({**document, "snapshot": taken, "report": str(page)})
        return
    _print(document)
    _say(document, None if dry_run else taken, page)


def takedown(file: RulesFile, dry_run: DryRun = False, config: Config = "pipeline.toml", json: Json = False) -> None:
    """Take rows out by source, record, patient or article, licence or id: now, and whenever such rows are committed.

    The rules are kept in the corpus with their reasons, under `takedowns/`. Older snapshots and the shards
    themselves still hold the rows.
    """
    from corpus.changing.takedown import matches, take_down
    from corpus.changing.takedown_rules import read_rules
    from corpus.manifest.snapshot import read_snapshot

    store = open_store(load(Path(config)), config)
    rules = {str(number): rule for number, rule in enumerate(read_rules(file), 1)}
    before = read_snapshot(store)
    counts = matches(before, rules)
    taken = before if dry_run else take_down(store, rules.values())
    if json:
        said = [{**rule.keys, "why": rule.why, "num_rows": counts[number]} for number, rule in rules.items()]
        print_json({"snapshot": taken.name, "rules": said})
        return
    for number, rule in rules.items():
        keys = ", ".join(f"{key} {value}" for key, value in rule.keys.items())
        found = f"{counts[number]:,} rows" if counts[number] else "matches no row now; it holds for later ones"
        OUT.print(f"  rule {number}: {keys}: {found}", highlight=False, markup=False)
    if not dry_run:
        OUT.print(f"snapshot {taken.name} is without them; v-numbers before it still hold them", highlight=False)


def _print(document: Mapping[str, Any]) -> None:
    """A line per benchmark."""
    table = Table(title=f"Contamination in {document['looked_at']}", title_justify="left")
    columns = ("benchmark", "num_items", "num_rejected", "num_candidates", "num_removed")
    for name in columns:
        table.add_column(name.removeprefix("num_"), justify="left" if name == "benchmark" else "right")
    for one in document["benchmarks"]:
        table.add_row(one["benchmark"], *(f"{one[name]:,}" for name in columns[1:]))
    OUT.print(table)
    if document["not_checked"]:
        OUT.print(f"not checked, since their data is not here: {', '.join(document['not_checked'])}", highlight=False)


def _say(document: Mapping[str, Any], snapshot: str | None, page: Path) -> None:
    """What was found, and where it is told."""
    what = "records" if document["looked_at"] == "records" else "rows"
    where = f"; snapshot {snapshot} is without them" if snapshot else ""
    OUT.print(f"{document['num_removed']:,} of {document['num_items']:,} {what} found{where}", highlight=False)
    OUT.print(f"report: {page}", highlight=False)
