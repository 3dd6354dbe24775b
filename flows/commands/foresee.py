"""The command that says what a run would cost, from a pilot."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.commands.options import Config, Flows, Json, Sources, TeacherName, chosen_flows, params_of
from flows.commands.printing import OUT, print_json
from flows.plan import Plan, make_plan
from schemas.pipeline import load

if TYPE_CHECKING:  # what asks teachers takes a second to import, and `calabash --help` does not need it
    from flows.forecast import Expected, Verdict
    from flows.intervals import Interval


def forecast(
    flows: Flows = None,
    num: Annotated[int, typer.Option("-n", "--num", min=2, help="Records to try of each source of each flow.")] = 20,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Records of each source, at most.")] = None,
    source: Sources = None,
    teacher: TeacherName = None,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Say what a run will cost and keep, from a pilot: a few records of each source are really asked.

    They are drawn from all that is missing. Their replies are kept and the run uses them, so nothing is
    paid twice. The +- is half of the 95% interval. Without flows, all of them.
    """
    from flows.commands.watching import watched
    from flows.forecast import forecast as foresee
    from flows.forecast import verdicts

    names = chosen_flows(flows, not flows, list(load(Path(config)).flows))
    params = params_of(config, limit, source, None, teacher)
    plan = make_plan(names, params)
    with watched(plan, "forecast", config, Console(stderr=json)):
        plan, lines = asyncio.run(foresee(names, params, num))
    found = verdicts(plan, lines)
    if json:
        judged = [{**asdict(one), "needed": one.needed.as_dict()} for one in found]
        print_json({"expected": [line.as_dict() for line in lines], "budgets": judged})
    else:
        _print(plan, lines, found)


def _print(plan: Plan, lines: Sequence["Expected"], found: Sequence["Verdict"]) -> None:
    from flows.intervals import summed

    if not lines:
        OUT.print(f"Nothing is missing in {plan.store.url}: a run would ask nothing.", highlight=False)
        return
    shown = [line for line in lines if line.teacher != "all" or _num_teachers(lines, line) != 1]
    sums = [line for line in lines if line.teacher == "all"]
    table = Table(title="What the rest will take", title_justify="left", show_footer=True)
    for name, foot in (("flow", "all"), ("source", ""), ("teacher", "")):
        table.add_column(name, foot)
    for name, foot in (("tried", sum(one.num_tried for one in sums)), ("left", sum(one.num_left for one in sums))):
        table.add_column(name, f"{foot:,}", justify="right")
    for name, field in COLUMNS.items():
        table.add_column(name, _shown(summed(getattr(one, field) for one in sums), field), justify="right")
    for line in shown:
        counts = (_shown(getattr(line, field), field) for field in COLUMNS.values())
        table.add_row(line.flow, line.source, line.teacher, f"{line.num_tried:,}", f"{line.num_left:,}", *counts)
    OUT.print(table)
    for one in found:
        words = {"yes": "suffices", "no": "does not suffice", "perhaps": "may not suffice"}[one.suffices]
        needed = _shown(one.needed, one.kind)
        OUT.print(
            f"{one.kind} = {one.limit:,} in [{one.budget}] {words}: {needed} needed", markup=False, highlight=False
        )


COLUMNS = {
    "requests": "requests",
    "tokens in": "prompt_tokens",
    "tokens out": "completion_tokens",
    "usd": "usd",
    "kept": "kept",
}
"""The columns of the table, with the fields that they show."""


def _num_teachers(lines: Sequence["Expected"], line: "Expected") -> int:
    """Teachers of the line's flow and source, the sum not counted."""
    same = [one for one in lines if (one.flow, one.source) == (line.flow, line.source)]
    return sum(one.teacher != "all" for one in same)


def _shown(value: "Interval", field: str) -> str:
    digits = 4 if field == "usd" else 0
    return f"{value.expected:,.{digits}f} ±{value.half:,.{digits}f}"
