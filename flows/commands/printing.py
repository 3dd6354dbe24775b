"""What the commands print: tables and next steps for people, JSON for scripts."""

import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from corpus.audit.stats import Cell, cells_of, totals_of
from flows.plan import Plan
from flows.report import HEADINGS, NUMERIC, Spend, as_data, texts_of

OUT: Final = Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=132)
"""Standard output; a file or a pipe gets lines wide enough for the tables."""

COUNTS: Final = {
    "num_requests": "requests",
    "num_replayed": "replayed",
    "num_refused": "refused",
    "prompt_tokens": "tokens in",
    "completion_tokens": "tokens out",
    "usd": "usd",
}
"""The columns of the table of what was asked, by the fields that they show."""


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_plan(plan: Plan, as_json_document: bool) -> None:
    """What a run would do, flow by flow."""
    from flows.estimate import estimate  # pulls in pyarrow, which a run with nothing to do never needs

    sizes = [estimate(plan, flow) for flow in plan.flows]
    if as_json_document:
        print_json([size.as_dict() for size in sizes])
        return
    table = Table(title="What a run would do", title_justify="left")
    for name in ("flow", "teacher", "sources"):
        table.add_column(name, no_wrap=name == "flow")
    for name in ("tasks to do", "done", "records", "requests", "prompt tokens", "reply tokens <="):
        table.add_column(name, justify="right")
    for size in sizes:
        numbers = (
            size.num_tasks,
            size.num_done,
            size.num_records,
            size.num_requests,
            size.prompt_tokens,
            size.reply_tokens,
        )
        table.add_row(size.flow, size.teacher, ", ".join(size.sources), *(f"{number:,}" for number in numbers))
    OUT.print(table)
    OUT.print("Requests and tokens are estimates from the first record of each source; no teacher was called.")


def print_table(plan: Plan, snapshot: str, as_json_document: bool, asked: Sequence[Spend] = ()) -> None:
    """Organ system x modality, flow by flow, with each flow's total; then who was asked in this run."""
    cells = cells_of(plan.entries)
    if as_json_document:
        spent = [asdict(one) for one in asked]
        print_json({"corpus": plan.store.url, "snapshot": snapshot, **document_of(cells), "asked": spent})
    else:
        print_cells(cells)
        print_spend(OUT, asked)


def print_spend(console: Console, asked: Sequence[Spend]) -> None:
    """What this run asked of whom for which source, and what it cost; nothing when nobody was asked."""
    if not asked:
        return
    table = Table(title="[bold]asked in this run", title_justify="left", show_footer=len(asked) > 1)
    total = [sum(getattr(one, name) for one in asked) for name in COUNTS]
    for name, foot in zip(("flow", "source", "teacher"), ("all", "", ""), strict=True):
        table.add_column(name, foot)
    for name, foot in zip(COUNTS.values(), _counts(total), strict=True):
        table.add_column(name, foot, justify="right")
    for one in asked:
        counts = _counts([getattr(one, name) for name in COUNTS])
        table.add_row(one.flow, one.source, one.teacher, *counts)
    console.print(table)


def _counts(values: Sequence[float]) -> list[str]:
    *counts, usd = values
    return [*(f"{count:,}" for count in counts), f"{usd:,.4f}"]


def document_of(cells: Sequence[Cell]) -> dict[str, Any]:
    """Cells and totals as plain data."""
    return {"rows": as_data(cells), "totals": as_data(totals_of(cells))}


def print_cells(cells: Sequence[Cell]) -> None:
    """A table per flow: its cells, then its total."""
    for total in totals_of(cells):
        table = Table(title=f"[bold]{total.flow}", title_justify="left", show_footer=True)
        for name, foot in zip(HEADINGS, texts_of(total), strict=True):
            table.add_column(name, foot, justify="right" if name in NUMERIC else "left", overflow="fold")
        for cell in cells:
            if cell.flow == total.flow:
                table.add_row(*texts_of(cell))
        OUT.print(table)


def print_runs(runs: Sequence[dict[str, Any]]) -> None:
    """A line per run: its start, length, command, records, requests, money and end."""
    from flows.run_record import state_of

    table = Table(title="Runs", title_justify="left")
    for name in ("started", "took", "command", "records", "asked", "replayed", "tokens", "usd", "ended"):
        table.add_column(name, justify="left" if name in ("started", "command", "ended") else "right")
    for run in runs:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run["started"]))
        took = f"{(run['ended'] or run['updated']) - run['started']:.0f} s"
        table.add_row(started, took, " ".join((run["command"], *run["flows"])), *_sums(run), state_of(run))
    OUT.print(table)


def _sums(run: dict[str, Any]) -> list[str]:
    """A run's records settled, requests asked now, requests replayed, tokens and US dollars."""
    asked = run["asked"]
    num_replayed = sum(one["num_replayed"] for one in asked)
    counts = (
        sum(records["settled"] for records in run["records"].values()),
        sum(one["num_requests"] + one["num_refused"] for one in asked) - num_replayed,
        num_replayed,
        sum(one["prompt_tokens"] + one["completion_tokens"] for one in asked),
    )
    return [*(f"{count:,}" for count in counts), f"{sum(one['usd'] for one in asked):,.4f}"]


def print_where(plan: Plan, snapshot: str) -> None:
    """Where the corpus is, and three commands to look at it."""
    sample = next((task for entry in plan.entries for task in _ids(plan, entry.flow)), "SAMPLE")
    OUT.print(f"\nThe corpus is in [bold]{plan.store.url}[/], snapshot {snapshot}. Look at it:", highlight=False)
    for command in ("calabash stats", f"calabash show '{sample}'", "calabash verify"):
        OUT.print(f"  .venv/bin/{command}", highlight=False)


def _ids(plan: Plan, flow: str) -> list[str]:
    """The id of one of a flow's samples, if it has any."""
    from corpus.manifest.snapshot import read_snapshot
    from corpus.reader.corpus import Corpus

    rows = Corpus(read_snapshot(plan.store), demo=True).filter(flow=flow)
    return [row["id"] for row in itertools.islice(rows, 1)]
