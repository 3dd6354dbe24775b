"""Looking for benchmarks in rows, and in records before generation: what is found is written down and reported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from corpus.likeness.contamination import contamination
from corpus.likeness.items import BenchmarkItem
from corpus.likeness.thresholds import Thresholds
from corpus.manifest.snapshot import read_snapshot
from corpus.store.writing import Store
from flows.benchmarks import Benchmark, facts_of
from flows.excluded import Excluded, read_excluded, write_excluded
from flows.likeness import RowItems, record_items, row_ids, without_own, write_drops
from flows.likeness_report import Document, of_benchmarks
from schemas.errors import ConfigError
from schemas.pipeline import Pipeline, unknown
from schemas.record import Record, Reject
from sources.catalogue import open_source
from sources.entry import Entry

NAME: Final = "contamination"
"""The derived drop of rows that hold a benchmark's questions or pictures."""


def screen_rows(store: Store, benchmarks: Sequence[Benchmark], write: bool) -> tuple[Document, str]:
    """Drop the newest snapshot's rows that benchmarks hold; the report and the next snapshot's name.

    Rows that an older search dropped are looked at again. Raises CorpusError.
    """
    looked_at, thresholds = without_own(read_snapshot(store), NAME), Thresholds()
    items = RowItems(looked_at)
    drops, reports = contamination(items, _items(benchmarks), thresholds)
    made_by = _made_by(thresholds, benchmarks)
    names = row_ids(looked_at, [drop.number for drop in drops])
    document = of_benchmarks(looked_at.name, len(items), made_by, reports, names)
    taken = write_drops(store, looked_at, NAME, made_by, drops) if write else looked_at
    return document, taken.name


def screen_records(
    store: Store, pipeline: Pipeline, catalogue: Mapping[str, Entry], benchmarks: Sequence[Benchmark], write: bool
) -> Document:
    """Name the records of the flows' sources that benchmarks hold, so that the next run rejects them; the report."""
    records, thresholds = Screened(pipeline, catalogue), Thresholds()
    drops, reports = contamination(record_items(records), _items(benchmarks), thresholds)
    made_by = _made_by(thresholds, benchmarks)
    names = {str(drop.number): records.name_of(drop.number) for drop in drops}
    if write:
        records.exclude(store, {drop.number: f"{drop.other}: {drop.reason}" for drop in drops}, made_by)
    return of_benchmarks("records", len(records), made_by, reports, names)


def _items(benchmarks: Sequence[Benchmark]) -> list[BenchmarkItem]:
    return [item for benchmark in benchmarks for item in benchmark.items]


def _made_by(thresholds: Thresholds, benchmarks: Sequence[Benchmark]) -> dict[str, Any]:
    return {"thresholds": asdict(thresholds), "benchmarks": facts_of(benchmarks)}


class Screened:
    """The records of a pipeline's flows, each once, in the order of flows and sources; it remembers their places."""

    def __init__(self, pipeline: Pipeline, catalogue: Mapping[str, Entry]) -> None:
        self._catalogue = catalogue
        self._wanted = _wanted(pipeline, catalogue)
        self._places: list[tuple[str, str, int, str]] = []

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        for id, left in self._wanted.items():
            source = open_source(id, self._catalogue)
            for shard in source.shards():
                take = min(shard.num_records, left)
                for position, read in enumerate(source.records(shard, 0, take)):
                    if not isinstance(read, Reject):
                        self._places.append((id, shard.id, position, read.id))
                        yield len(self._places) - 1, read
                left -= take

    def __len__(self) -> int:
        """How many went by."""
        return len(self._places)

    def name_of(self, number: int) -> str:
        """A record as a person finds it."""
        source, _, _, record = self._places[number]
        return f"{source}/{record}"

    def exclude(self, store: Store, found: Mapping[int, str], made_by: Mapping[str, Any]) -> None:
        """Write down what every source must do without: `found` says why, by number. Raises CorpusError."""
        before, lists = read_excluded(store), dict[str, list[tuple[str, int, str]]]()
        for number, why in found.items():
            source, shard, position, _ = self._places[number]
            lists.setdefault(source, []).append((shard, position, why))
        told = [id for id in self._wanted if id in lists or id in before]
        revisions = {id: self._catalogue[id].revision for id in told}
        write_excluded(store, [Excluded(id, revisions[id], tuple(lists.get(id, ())), made_by) for id in told])


def _wanted(pipeline: Pipeline, catalogue: Mapping[str, Entry]) -> dict[str, int]:
    """How many records of each source the flows use, at most."""
    wanted: dict[str, int] = {}
    for name, flow in pipeline.flows.items():
        for id in flow.sources:
            if id not in catalogue:
                raise ConfigError(f"[flows.{name}]: {unknown('source', id, catalogue)}")
            wanted[id] = max(wanted.get(id, 0), flow.samples or catalogue[id].records)
    return wanted
