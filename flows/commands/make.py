"""Commands that make rows: run, plan, preview."""

import asyncio
import importlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from corpus.changing.taking import take_snapshot
from corpus.manifest.snapshot import list_snapshots
from flows.commands.options import (
    All,
    Config,
    Flows,
    Json,
    Limit,
    MetricsPath,
    MetricsPort,
    Sources,
    Tags,
    TeacherName,
    chosen_flows,
    params_of,
)
from flows.commands.printing import OUT, print_plan, print_spend, print_table, print_where
from flows.params import FlowParams
from flows.plan import Plan, make_plan
from flows.progress import Watcher
from flows.report import Spend, spent_by
from schemas.pipeline import load


def run(
    flows: Flows = None,
    all_flows: All = False,
    limit: Limit = None,
    source: Sources = None,
    tag: Tags = None,
    teacher: TeacherName = None,
    config: Config = "pipeline.toml",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    no_server: Annotated[bool, typer.Option("--no-server", help="Run without Prefect.")] = False,
    metrics: MetricsPort = None,
    metrics_file: MetricsPath = None,
    json: Json = False,
) -> None:
    """Run flows: read records, ask the teacher, gate the replies, commit shards, take a snapshot.

    Finished tasks are never run again and no answered question is asked again, so after a crash the same
    command goes on where it stopped. With PREFECT_API_URL set, the run shows on that Prefect server.
    """
    names = chosen_flows(flows, all_flows, list(load(Path(config)).flows))
    params = params_of(config, limit, source, tag, teacher, snapshot=False)
    plan = make_plan(names, params)
    if dry_run:
        print_plan(plan, json)
        return
    made = bool(plan.missing)
    asked: list[Spend] = []
    if made:
        asked = _run(plan, params, no_server, json, metrics, metrics_file)
        plan = make_plan(names, params)
    before = list_snapshots(plan.store)
    snapshot = take_snapshot(plan.store, plan.tasks)
    if json or made or snapshot.name not in before:
        print_table(plan, snapshot.name, json, asked)
    if not json:
        print_where(plan, snapshot.name) if made else _say_done(plan, snapshot.name)


def _run(
    plan: Plan, params: FlowParams, no_server: bool, json: bool, port: int | None, metrics_file: Path | None
) -> list[Spend]:
    """Run the plan's flows one after the other, watched, under one budget; who was asked for what."""
    from flows.commands.watching import watched

    names, console = tuple(flow.flow for flow in plan.flows), Console(stderr=json)
    watching = watched(plan, "run", params.config, console, port, metrics_file)
    watcher: Watcher | None = None
    try:
        with watching as watcher:
            asyncio.run(_plain(names, params) if no_server else _orchestrated(names, params))
    except BaseException:
        if watcher is not None:
            print_spend(console, spent_by(watcher))  # what was paid is kept, whatever stopped the run
        raise
    return spent_by(watcher)


async def _plain(names: tuple[str, ...], params: FlowParams) -> None:
    from flows.running import run_flow

    for name in names:
        await run_flow(name, params)


async def _orchestrated(names: tuple[str, ...], params: FlowParams) -> None:
    """Every flow as a Prefect flow run, on the server of PREFECT_API_URL or on one of its own."""
    from flows import prefect_env

    prefect_env.find_server()
    for name in names:
        function = name.replace("-", "_")
        await getattr(importlib.import_module(f"flows.{function}"), function)(params)


def _say_done(plan: Plan, snapshot: str) -> None:
    num_rows = sum(entry.num_rows for entry in plan.entries)
    typer.echo(
        f"Nothing to do: all {len(plan.tasks)} tasks of {len(plan.flows)} flows are committed "
        f"({num_rows} samples in {plan.store.url}, snapshot {snapshot})."
    )


def plan(
    flows: Flows = None,
    all_flows: All = False,
    limit: Limit = None,
    source: Sources = None,
    tag: Tags = None,
    teacher: TeacherName = None,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Say what a run would do: tasks, records, requests and tokens (estimated). No teacher is called.

    Without flows, all of them. Records of the first range of each source are read to size the requests.
    """
    configured = list(load(Path(config)).flows)
    names = chosen_flows(flows, all_flows or not flows, configured)
    print_plan(make_plan(names, params_of(config, limit, source, tag, teacher)), json)


def preview(
    flow: Annotated[str, typer.Argument(help="The flow.")],
    num: Annotated[int, typer.Option("-n", "--num", min=1, help="Records to show.")] = 10,
    prompt: Annotated[Path | None, typer.Option("--prompt", help="Another prompt file to try.")] = None,
    source: Sources = None,
    teacher: TeacherName = None,
    html: Annotated[Path | None, typer.Option("--html", help="Where the page goes.")] = None,
    config: Config = "pipeline.toml",
) -> None:
    """Try a flow on a few records without committing: record, rendered prompt, reply, verdicts.

    Shown in the terminal and as one HTML page. Replies are kept, and a later run uses them again.
    """
    from flows.preview import preview_flow
    from flows.preview_page import write_page
    from flows.preview_text import print_previews

    params = params_of(config, None, source, None, teacher)
    plan, previews = asyncio.run(preview_flow(flow, params, num, prompt))
    print_previews(OUT, previews)
    page = html or plan.root.parent / f"preview-{flow}.html"
    write_page(page, flow, previews)
    typer.echo(f"\nThe same as a page: {page}")
