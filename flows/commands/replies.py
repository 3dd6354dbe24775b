"""The commands for kept replies: what is kept, for whom it was paid, and putting it in order."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from corpus.store.writing import Store
from flows.commands.options import Config, Json
from flows.commands.printing import OUT, print_json
from flows.plan import open_store
from flows.recipe import work_root
from schemas.errors import ConfigError
from schemas.pipeline import Pipeline, load
from teachers.batch import BATCHES

app: Final = typer.Typer(no_args_is_help=True, help="Kept replies: what is kept, and putting it in order.")

Unnamed = Annotated[
    bool,
    typer.Option(
        "--unnamed", help="Drop the replies of models that neither a commit entry nor pipeline.toml names, too."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command("stats")
def stats(config: Config = "pipeline.toml", json: Json = False) -> None:
    """Count kept replies, tokens and dollars by flow, source and teacher; a run may go on meanwhile."""
    from teachers.replay.stock import take_stock  # pulls in pyarrow

    root = work_root(load(Path(config)), config)
    stock = take_stock(root)
    rows = [{**group._asdict(), **asdict(amount)} for group, amount in sorted(stock.amounts.items())]
    sizes = {name: value for name, value in asdict(stock).items() if name != "amounts"}
    if json:
        print_json({"corpus": str(root), "replies": rows, **sizes})
    else:
        _print_stock(root, rows, sizes)


@app.command("gc")
def gc(config: Config = "pipeline.toml", unnamed: Unnamed = False, dry_run: DryRun = False, json: Json = False) -> None:
    """Merge each block's files into one compressed table, without duplicates and broken lines.

    Files that a run writes to, and those younger than ten minutes, are left alone.
    """
    from teachers.replay.collecting import Rules, collect  # pulls in pyarrow

    pipeline = load(Path(config))
    root = work_root(pipeline, config)
    named = _named(open_store(pipeline, config), pipeline) if unnamed else None
    rules = Rules(named, has_mirror=pipeline.mirror is not None, dry_run=dry_run)
    done = [{**asdict(each), "folder": str(each.folder.relative_to(root))} for each in collect(root, rules)]
    num_batches = 0 if dry_run else _sweep_batches(root)
    if json:
        print_json({"corpus": str(root), "dry_run": dry_run, "blocks": done, "num_batches_removed": num_batches})
        return
    _print_collected(done, dry_run)
    if num_batches:
        OUT.print(f"removed the files of {num_batches:,} batches whose every reply is kept")


def _sweep_batches(root: Path) -> int:
    """Remove what a killed run left of batches whose replies are all in the logs; how many batches."""
    folder = root / "replies" / BATCHES
    if not folder.is_dir():
        return 0
    from teachers.batch.index import sweep
    from teachers.replay.index import Index
    from teachers.replay.names import block_folders

    kept: set[str] = set()
    for block in block_folders(root):
        with closing(Index(block)) as index:
            kept.update(index)
    return sweep(folder, kept.__contains__)


def _named(store: Store, pipeline: Pipeline) -> frozenset[tuple[str, str]]:
    """The (model, revision) pairs that commit entries and pipeline.toml name.

    ConfigError when no task was ever committed: everything would look unnamed.
    """
    from corpus.commit.entries import read_entries
    from teachers.identity import identity

    entries = read_entries(store).values()
    if not entries:
        raise ConfigError(f"gc --unnamed: {store.url} has no commit entry that names a teacher; run a flow first")
    now = [identity(name, teacher) for name, teacher in pipeline.teachers.items()]
    found = [named for each in (*(entry.recipe for entry in entries), *now) for named in _teachers_in(each)]
    return frozenset((each["model"], each["revision"]) for each in found)


def _teachers_in(value: Any) -> Iterator[Mapping[str, str]]:
    """Every table in a recipe that has a model and a revision: teachers, judges and whoever stands in for them."""
    if isinstance(value, Mapping):
        table: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        if "model" in table and "revision" in table:
            yield table
        for inner in table.values():
            yield from _teachers_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _teachers_in(inner)


def _print_stock(root: Path, rows: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]) -> None:
    table = Table(title=f"Kept replies of {root}", title_justify="left")
    for name in ("flow", "source", "teacher", "model@revision"):
        table.add_column(name, overflow="fold")
    for name in ("replies", "prompt tokens", "reply tokens", "USD", "MB"):
        table.add_column(name, justify="right")
    for row in rows:
        model = f"{row['model']}@{row['revision']}"
        counts = (f"{row[name]:,}" for name in ("num_replies", "prompt_tokens", "completion_tokens"))
        table.add_row(
            row["flow"], row["source"], row["teacher"], model, *counts, f"{row['usd']:.4f}", _mb(row["num_bytes"])
        )
    OUT.print(table)
    OUT.print(
        f"{sizes['num_blocks']:,} blocks: {sizes['num_line_files']:,} files of lines ({_mb(sizes['line_bytes'])} MB), "
        f"{sizes['num_tables']:,} compressed tables ({_mb(sizes['table_bytes'])} MB), "
        f"{_mb(sizes['unsent_bytes'])} MB waiting for the mirror; {sizes['num_duplicates']:,} duplicates, "
        f"{sizes['num_broken']:,} broken lines"
    )


def _print_collected(done: Sequence[Mapping[str, Any]], dry_run: bool) -> None:
    def total(name: str) -> int:
        return sum(block[name] for block in done)

    would = "Would keep" if dry_run else "Kept"
    OUT.print(
        f"{would} {total('num_kept'):,} replies of {total('num_files'):,} files in {len(done):,} blocks; "
        f"{'would drop' if dry_run else 'dropped'} {total('num_duplicates'):,} duplicates, "
        f"{total('num_broken'):,} broken lines and {total('num_unnamed'):,} replies of unnamed models"
    )
    if not dry_run:
        OUT.print(f"{_mb(total('bytes_before'))} MB before, {_mb(total('bytes_after'))} MB now")
    if total("num_skipped"):
        OUT.print(f"left alone: {total('num_skipped'):,} files that are being written or younger than ten minutes")
    for block in done:
        for path in block["damaged"]:
            OUT.print(f"left alone: {path} is damaged; restore it from a copy, or delete it to ask its requests again")


def _mb(num_bytes: float) -> str:
    return f"{num_bytes / 1e6:,.1f}"
