"""Benchmarks of the catalogue: which are here, read into what the engines compare rows and records with."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpus.likeness.items import BenchmarkItem, Pictures, no_pictures
from flows.likeness import keys_of
from schemas.errors import ConfigError, SourceError
from schemas.pipeline import unknown
from schemas.record import Record, Reject
from sources.catalogue import open_source
from sources.entry import Entry
from sources.tagging.cascade import tag

BENCHMARK_SIDE: Final = 512
"""Longest side, in pixels, of a benchmark's pictures: the engine looks at 256."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark as read: `num_rejected` are rows that could not be, which nothing is compared with."""

    id: str
    revision: str
    items: tuple[BenchmarkItem, ...]
    num_rejected: int


class Shelf:
    """Pictures put aside in a temporary file and taken back when asked: memory holds none of them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 # closed by __exit__

    def put(self, pictures: Sequence[bytes]) -> Pictures:
        """Put an item's pictures aside; the function that brings them back."""
        if not pictures:
            return no_pictures
        first, sizes = self._file.seek(0, 2), [len(data) for data in pictures]
        self._file.writelines(pictures)
        return lambda: self._take(first, sizes)

    def _take(self, first: int, sizes: Sequence[int]) -> list[bytes]:
        self._file.seek(first)
        return [self._file.read(size) for size in sizes]

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def chosen(
    names: Sequence[str] | None, catalogue: Mapping[str, Entry], data: Path | None
) -> tuple[list[Entry], list[str]]:
    """The benchmarks to read, and the ids of those whose data is not here. Named ones must be."""
    known = {id: _placed(entry, data) for id, entry in catalogue.items() if entry.never_train}
    for name in names or ():
        if name not in known:
            raise ConfigError(unknown("benchmark", name, known))
    wanted = [known[name] for name in dict.fromkeys(names or known)]
    here = [entry for entry in wanted if names or (entry.packages or _folder(entry).is_dir())]
    if not here:
        example = next(iter(known.values()), None)
        where = f" ({example.id}: {_folder(example)})" if example else ""
        raise ConfigError(f"no benchmark's data is here; put it where the catalogue says{where}, or give --data FOLDER")
    return here, [entry.id for entry in wanted if entry not in here]


def read_benchmark(entry: Entry, shelf: Shelf) -> Benchmark:
    """A benchmark's questions, as they are published. Raises SourceError where its data is missing or differs."""
    source = open_source(entry.id, {entry.id: entry.model_copy(update={"max_side": BENCHMARK_SIDE})})
    read = [item for shard in source.shards() for item in source.records(shard)]
    records = [item for item in read if not isinstance(item, Reject) and (item.facts.question or item.media)]
    if not records:
        raise SourceError(
            f"source {entry.id!r}: none of its {len(read)} rows can be read as a question; check the entry"
        )
    named = Counter(record.id for record in records)  # publishers' own ids are not always unique
    ids = (f"{one.id}@{number}" if named[one.id] > 1 else one.id for number, one in enumerate(records))
    items = tuple(_benchmark_item(record, id, shelf) for record, id in zip(records, ids, strict=True))
    return Benchmark(entry.id, entry.revision, items, len(read) - len(records))


def facts_of(read: Sequence[Benchmark]) -> dict[str, dict[str, Any]]:
    """What a drop list and a report say of the benchmarks that were read."""
    return {
        one.id: {"revision": one.revision, "num_items": len(one.items), "num_rejected": one.num_rejected}
        for one in read
    }


def _placed(entry: Entry, data: Path | None) -> Entry:
    """The entry with its data below `data`, in a folder of the same name as its own path's."""
    return (
        entry if data is None else entry.model_copy(update={"folder": data, "path": Path(entry.path or entry.id).name})
    )


def _folder(entry: Entry) -> Path:
    return (entry.folder or Path()) / (entry.path or "")


def _benchmark_item(record: Record, id: str, shelf: Shelf) -> BenchmarkItem:
    facts, asked = record.facts, record.facts.question
    cut_from = (record.source, facts.metadata.get("dataset", ""))
    return BenchmarkItem(
        benchmark=record.source,
        id=id,
        question=asked.stem if asked else "",
        options=asked.options if asked else (),
        answer=asked.gold if asked else "",
        context="\n".join(filter(None, (facts.caption, facts.report))),
        pictures=shelf.put([frame.data for frame in record.frames]),
        num_pictures=len(record.frames),
        modality=tag(record).modality,
        keys=keys_of(record.group, (media.sha256 for media in record.media), cut_from),
    )
