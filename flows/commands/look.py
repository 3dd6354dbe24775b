"""Commands that look at a corpus: status, runs, stats, show, reproduce, verify."""

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from corpus.audit.stats import table
from corpus.commit.entries import CommitEntry
from corpus.manifest.snapshot import list_snapshots, read_snapshot
from flows.commands.options import Config, Json, SnapshotName, params_of
from flows.commands.printing import OUT, document_of, print_cells, print_json
from flows.plan import FlowPlan, Plan, make_plan, open_store
from flows.recipe import work_root
from schemas.pipeline import load

SampleId = Annotated[str, typer.Argument(help="A sample's id, such as captioning/pydicom-images/...#0.")]


def status(config: Config = "pipeline.toml", json: Json = False) -> None:
    """Tasks done and missing, flow by flow, and the latest snapshot."""
    plan = make_plan(tuple(load(Path(config)).flows), params_of(config))
    snapshots = list_snapshots(plan.store)
    if json:
        flows = [asdict(_progress_of(flow)) for flow in plan.flows]
        print_json({"corpus": plan.store.url, "snapshots": snapshots, "flows": flows})
        return
    OUT.print(f"corpus {plan.store.url}, snapshot {snapshots[-1] if snapshots else 'none'}", highlight=False)
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

    found = read_runs(work_root(load(Path(config)), config), num)
    print_json(found) if json else print_runs(found)


def stats(
    config: Config = "pipeline.toml",
    snapshot: SnapshotName = "latest",
    media: Annotated[bool, typer.Option("--media", help="How often one image is stored; reads every image.")] = False,
    json: Json = False,
) -> None:
    """The organ system x modality table of a snapshot, flow by flow."""
    opened = read_snapshot(open_store(load(Path(config)), config), snapshot)
    if media:
        from corpus.audit.media import lines, repeats

        found = repeats(opened)
        print_json([asdict(cell) for cell in found]) if json else typer.echo("\n".join(lines(found)))
    elif json:
        print_json({"snapshot": opened.name, **document_of(table(opened))})
    else:
        print_cells(table(opened))


def show(
    sample: SampleId, config: Config = "pipeline.toml", snapshot: SnapshotName = "latest", json: Json = False
) -> None:
    """One row readably: conversation, tags, where from, licence, who made it, checks."""
    from corpus.reader.corpus import Corpus
    from flows.showing import show_row

    store = open_store(load(Path(config)), config)
    row = Corpus(read_snapshot(store, snapshot), demo=True).row(sample)
    if json:
        images = [{"path": image["path"], "bytes": len(image["bytes"])} for image in row["images"]]
        print_json({**row, "images": images})
    else:
        show_row(OUT, row)


def reproduce(sample: SampleId, config: Config = "pipeline.toml", json: Json = False) -> None:
    """Make one row again from its source and the kept replies, and compare the bytes. Asks no teacher."""
    from corpus.reader.corpus import Corpus
    from flows.reproduce import reproduce as again

    plan = make_plan((), params_of(config))
    opened = Corpus(read_snapshot(plan.store), demo=True)
    entry = opened.entry_of(sample)
    _fetch_replies(plan, entry)
    comparison = asyncio.run(again(plan, entry, opened.row(sample)))
    if json:
        print_json(asdict(comparison))
    elif comparison.same:
        typer.echo(f"same: every column of {sample}, from {comparison.num_replies} kept replies")
    else:
        typer.echo(f"differs: {sample} in {', '.join(comparison.columns)}")
        typer.echo("the code is the same" if comparison.same_code else "the code has changed since it was made")
    raise typer.Exit(0 if comparison.same else 1)


def _fetch_replies(plan: Plan, entry: CommitEntry) -> None:
    """Copy what only the mirror keeps of a task's replies into the work folder."""
    from flows.running import mirroring
    from teachers.replay.blocks import Replies

    with mirroring(plan, typer.echo) as mirror:
        if mirror is not None:
            with Replies(plan.root, entry.source, entry.shard, mirror) as replies:
                replies.prepare(entry.start, entry.stop)


def verify(
    config: Config = "pipeline.toml",
    snapshot: SnapshotName = "latest",
    sample: Annotated[float, typer.Option(help="Share of the record batches to read, such as 0.05.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Chooses which batches a sample reads.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
    json: Json = False,
) -> None:
    """Read everything again: checksums, schema, counts, tags, splits, ids. Exit code 1 for any problem."""
    from corpus.audit.verify import verify as audit

    num_workers = workers or len(os.sched_getaffinity(0))
    report = audit(open_store(load(Path(config)), config), snapshot, sample=sample, seed=seed, workers=num_workers)
    if json:
        print_json(asdict(report))
    else:
        for line in report.lines():
            typer.echo(line)
    raise typer.Exit(0 if report.ok else 1)
