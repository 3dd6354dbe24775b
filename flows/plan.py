"""Cutting sources into tasks: a pure function of configuration, catalogue and commit entries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from corpus.commit.entries import CommitEntry, read_entries
from corpus.commit.selection import done
from corpus.layout import STAGING
from corpus.store.writing import Store, store_of
from flows.excluded import Excluded, read_excluded
from flows.params import FlowParams
from flows.recipe import corpus_root, recipe_of, selection, with_wishes, work_root
from schemas.errors import ConfigError
from schemas.pipeline import Flow, Pipeline, load, unknown
from schemas.task import Task
from sources.catalogue import load_catalogue, open_source
from sources.entry import Entry


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """One flow's tasks, in order, and the commit entries that cover them, by fingerprint."""

    flow: str
    table: Flow
    tasks: tuple[Task, ...]
    done: Mapping[str, CommitEntry]

    @property
    def missing(self) -> tuple[Task, ...]:
        """The tasks that still have no commit entry."""
        return tuple(task for task in self.tasks if task.fingerprint not in self.done)

    @property
    def num_records(self) -> int:
        """Records over all tasks."""
        return sum(task.num_records for task in self.tasks)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do, for every flow that was asked for.

    `root` is the folder of replies, runs, frames and logs; samples are committed to `store`. A local corpus
    is both.
    """

    pipeline: Pipeline
    root: Path
    store: Store
    catalogue: Mapping[str, Entry]
    flows: tuple[FlowPlan, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every task of every flow."""
        return tuple(task for flow in self.flows for task in flow.tasks)

    @property
    def entries(self) -> tuple[CommitEntry, ...]:
        """The commit entries that cover the plan, each once."""
        by_name = {entry.task: entry for flow in self.flows for entry in flow.done.values()}
        return tuple(by_name.values())

    @property
    def missing(self) -> tuple[Task, ...]:
        """Every task without a commit entry."""
        return tuple(task for flow in self.flows for task in flow.missing)


def make_plan(names: tuple[str, ...], params: FlowParams) -> Plan:
    """The plan for the named flows. It reads pipeline.toml, the catalogue and the commit entries only.

    Raises ConfigError, PolicyError or CorpusError; opens no source file and imports nothing heavy.
    """
    pipeline = load(Path(params.config))
    catalogue = load_catalogue(own_entries(pipeline, params.config))
    root, store = work_root(pipeline, params.config), open_store(pipeline, params.config)
    entries, excluded = read_entries(store), read_excluded(store)
    _check_sources(pipeline, names, params)
    flows = tuple(_plan_flow(pipeline, name, params, catalogue, entries, excluded) for name in names)
    return Plan(pipeline, root, store, catalogue, flows)


def open_store(pipeline: Pipeline, config: str) -> Store:
    """Where the corpus of a pipeline is; on an object store, unfinished files stay in the work folder."""
    scratch = work_root(pipeline, config) / STAGING if pipeline.corpus_is_remote else None
    return store_of(corpus_root(pipeline, config), scratch)


def _plan_flow(
    pipeline: Pipeline,
    name: str,
    params: FlowParams,
    catalogue: Mapping[str, Entry],
    entries: Mapping[str, CommitEntry],
    excluded: Mapping[str, Excluded],
) -> FlowPlan:
    table = with_wishes(pipeline, name, params)
    for source in table.sources:
        if source not in catalogue:
            raise ConfigError(f"{params.config}: [flows.{name}]: {unknown('source', source, catalogue)}")
    tasks = [task for source in table.sources for task in _cut(pipeline, name, table, catalogue[source])]
    tasks = [_clean(task, catalogue[task.source], excluded) for task in tasks] if excluded else tasks
    if params.tags:
        # a task that is already committed whole needs no narrower one
        whole, select = done(entries, tasks), selection(params.tags)
        tasks = [task if task.fingerprint in whole else _narrowed(task, select) for task in tasks]
    return FlowPlan(name, table, tuple(tasks), done(entries, tasks))


def _clean(task: Task, entry: Entry, excluded: Mapping[str, Excluded]) -> Task:
    """The task without the records that a benchmark holds."""
    return excluded[entry.id].applied(task, entry.revision) if entry.id in excluded else task


def _narrowed(task: Task, select: list[str]) -> Task:
    return replace(task, recipe={**task.recipe, "select": select})


def _cut(pipeline: Pipeline, name: str, table: Flow, entry: Entry) -> Iterator[Task]:
    """The tasks of one source: every shard cut at `records_per_task`, up to `samples` records in all."""
    recipe = recipe_of(pipeline, name, table, entry)
    left = table.samples if table.samples is not None else entry.records
    for shard in open_source(entry.id, {entry.id: entry}).shards():
        take = min(shard.num_records, left)
        for start in range(0, take, table.records_per_task):
            stop = min(start + table.records_per_task, take)
            yield Task(name, entry.id, shard.id, start, stop, recipe)
        left -= take


def own_entries(pipeline: Pipeline, config: str) -> Path | None:
    """The folder of catalogue entries that pipeline.toml names, counted from its own."""
    return None if pipeline.catalog is None else Path(config).resolve().parent / pipeline.catalog


def _check_sources(pipeline: Pipeline, names: tuple[str, ...], params: FlowParams) -> None:
    """Every source that was asked for belongs to one of the flows."""
    known = {source for name in names for source in pipeline.flow(name).sources}
    for source in params.sources:
        if source not in known:
            raise ConfigError(f"--source: {unknown('source', source, known)} (of {', '.join(names)})")
