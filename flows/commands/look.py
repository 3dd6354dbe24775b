"""Commands that look at a corpus: status, runs, stats, show, reproduce, verify."""

import asyncio
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from corpus.snapshot import list_snapshots, read_snapshot
from corpus.stats import table
from flows.commands.options import Config, Json, SnapshotName, params_of
from flows.commands.printing import OUT, document_of, print_cells, print_json
from flows.plan import FlowPlan, make_plan
from flows.recipe import corpus_root
from schemas.pipeline import load

SampleId = Annotated[str, typer.Argument(help="A sample's id, such as captioning/pydicom-images/...#0.")]


def status(config: Config = "pipeline.toml", json: Json = False) -> None:
    """Tasks done and missing, flow by flow, and the latest snapshot."""
    plan = make_plan(tuple(load(Path(config)).flows), params_of(config))
    snapshots = list_snapshots(plan.root)
    if json:
        flows = [asdict(_progress_of(flow)) for flow in plan.flows]
        print_json({"corpus": str(plan.root), "snapshots": snapshots, "flows": flows})
        return
    OUT.print(f"corpus {plan.root}, snapshot {snapshots[-1] if snapshots else 'none'}", highlight=False)
    for flow in plan.flows:
        done = _progress_of(flow)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(done.ended)) if done.ended else "never"
        counts = f"{done.num_done}/{done.num_tasks} tasks, {done.num_samples} samples, last commit {when}"
        OUT.print(f"  {flow.flow:<24} {counts}", highlight=False)


@dataclass(frozen=True, slots=True)
class FlowProgress:
    """How far a flow is; `ended` is when its last task was committed, in seconds since 1970."""

    flow: str
    num_tasks: int
    num_done: int
    num_records: int
    num_samples: int
    ended: float | None


def _progress_of(flow: FlowPlan) -> FlowProgress:
    entries = {entry.task: entry for entry in flow.done.values()}.values()
    return FlowProgress(
        flow=flow.flow,
        num_tasks=len(flow.tasks),
        num_done=len(flow.done),
        num_records=flow.num_records,
        num_samples=sum(entry.num_rows for entry in entries),
        ended=max((entry.made["ended"] for entry in entries), default=None),
    )


def runs(
    num: Annotated[int, typer.Option("-n", "--num", min=1, help="Runs to show.")] = 10,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """The last runs: when, how long, what they asked and spent, how they ended. Killed ones too."""
    from flows.commands.printing import print_runs
    from flows.run_record import read_runs

    found = read_runs(corpus_root(load(Path(config)), config), num)
    print_json(found) if json else print_runs(found)


def stats(config: Config = "pipeline.toml", snapshot: SnapshotName = "latest", json: Json = False) -> None:
    """The organ system x modality table of a snapshot, flow by flow."""
    opened = read_snapshot(corpus_root(load(Path(config)), config), snapshot)
    if json:
        print_json({"snapshot": opened.name, **document_of(table(opened))})
    else:
        print_cells(table(opened))


def show(
    sample: SampleId, config: Config = "pipeline.toml", snapshot: SnapshotName = "latest", json: Json = False
) -> None:
    """One row readably: conversation, tags, where from, licence, who made it, checks."""
    import corpus
    from flows.showing import show_row

    root = corpus_root(load(Path(config)), config)
    row = corpus.open(root, snapshot=snapshot, demo=True).row(sample)
    if json:
        images = [{"path": image["path"], "bytes": len(image["bytes"])} for image in row["images"]]
        print_json({**row, "images": images})
    else:
        show_row(OUT, row)


def reproduce(sample: SampleId, config: Config = "pipeline.toml", json: Json = False) -> None:
    """Make one row again from its source and the kept replies, and compare the bytes. Asks no teacher."""
    import corpus
    from flows.reproduce import reproduce as again

    plan = make_plan((), params_of(config))
    opened = corpus.open(plan.root, demo=True)
    comparison = asyncio.run(again(plan, opened.entry_of(sample), opened.row(sample)))
    if json:
        print_json(asdict(comparison))
    elif comparison.same:
        typer.echo(f"same: every column of {sample}, from {comparison.num_replies} kept replies")
    else:
        typer.echo(f"differs: {sample} in {', '.join(comparison.columns)}")
        typer.echo("the code is the same" if comparison.same_code else "the code has changed since it was made")
    raise typer.Exit(0 if comparison.same else 1)


def verify(config: Config = "pipeline.toml", snapshot: SnapshotName = "latest", json: Json = False) -> None:
    """Read everything again: checksums, schema, counts, tags, splits, ids. Exit code 1 for any problem."""
    from corpus.audit import verify as audit

    report = audit(corpus_root(load(Path(config)), config), snapshot)
    if json:
        print_json(asdict(report))
    else:
        for problem in report.problems:
            typer.echo(f"{problem.path}: {problem.what}")
        verdict = "sound" if report.ok else f"{len(report.problems)} problems"
        typer.echo(f"{verdict}: {report.num_files} files, {report.num_rows} rows read")
    raise typer.Exit(0 if report.ok else 1)
