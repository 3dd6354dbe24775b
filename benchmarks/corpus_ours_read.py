"""Calabash's readers, and bare mapped streams, in the comparison of `corpus_read`.

    python -m benchmarks.corpus_ours_read MEASURE --rows FOLDER --data FOLDER [--variant NAME]

Variants: `feed` (the default; checksums already touched, mappings fresh), `first` (the checksums of a first touch are
in the figure), `view` (`load_from_disk` under our sampler), `mmap` (bare `pa.ipc.open_stream` that hands out the same
values) and `lean` (the same, but no more than number, picture and text: what the values themselves cost).
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import measured
import pyarrow as pa
import pyarrow.dataset  # what its first reading of a Parquet file imports

import corpus
from benchmarks.corpus_rows import hashes
from corpus.layout import VIEW
from corpus.manifest.places import Places
from corpus.reader.feed import Feed
from corpus.reader.values import Decoder
from corpus.store.files import TOUCHED

COLUMNS: Final = ("id", "messages", "images")
SEED: Final = 7
"""Of every shuffle."""
TOPOLOGIES: Final = ((1, 3), (2, 2), (4, 3), (8, 2))
"""(ranks, workers) of a resume."""


def touch(data: Path) -> None:
    """Check every batch once, in mappings that are dropped again: what follows maps for itself."""
    places = Places(corpus.open(data).snapshot)
    for batch in range(len(places)):
        places.open(batch)


def item(row: dict[str, Any]) -> measured.Item:
    """A row as every format hands it out."""
    return int(row["id"][-7:]), row["images"][0]["bytes"], row["messages"][1]["content"][0]["text"]


def sequential(data: Path) -> Iterator[measured.Item]:
    """Every row in stored order."""
    for batch in corpus.open(data).batches():
        yield from map(item, Decoder(batch, COLUMNS).rows())


def streams(data: Path) -> Iterator[pa.RecordBatch]:
    """Every batch of every shard, mapped, without us."""
    for path in sorted((data / "data").rglob("*.arrow")):
        with pa.memory_map(str(path)) as file:
            yield from pa.ipc.open_stream(file)


def bare(data: Path) -> Iterator[measured.Item]:
    """The values of `sequential` as bare pyarrow gives them: lists from Arrow, pictures as buffers of the mapping."""
    for batch in streams(data):
        images: Any = batch.column("images")
        ends, blobs, paths = images.offsets.to_pylist(), images.values.field("bytes"), images.values.field("path")
        ids, messages = batch.column("id").to_pylist(), batch.column("messages").to_pylist()
        for row, (id, turns) in enumerate(zip(ids, messages, strict=True)):
            span = range(ends[row], ends[row + 1])
            pictures = [{"bytes": blobs[k].as_buffer(), "path": paths[k].as_py()} for k in span]
            yield item({"id": id, "messages": turns, "images": pictures})


def lean(data: Path) -> Iterator[measured.Item]:
    """Number, picture and text alone: one picture a row, and two turns of two parts and one."""
    for batch in streams(data):
        images, messages = (batch.column(name) for name in ("images", "messages"))
        blobs: Any = images.values.field("bytes")  # pyright: ignore[reportAttributeAccessIssue]
        parts: Any = messages.values.field("content")  # pyright: ignore[reportAttributeAccessIssue]
        texts = parts.values.field("text").to_pylist()[2::3]
        for row, (id, text) in enumerate(zip(batch.column("id").to_pylist(), texts, strict=True)):
            yield int(id[-7:]), blobs[row].as_buffer(), text


def feed_of(data: Path, **more: Any) -> Feed:
    """The shuffled epoch, 32 rows to a step, pictures as views of the mapping."""
    return Feed(corpus.open(data), measured.BATCH, seed=SEED, columns=COLUMNS, blobs="view", **more)


def shuffled(data: Path) -> Iterator[measured.Item]:
    """A shuffled epoch."""
    for rows in feed_of(data):
        yield from map(item, rows)


def packed(rows: list[dict[str, Any]]) -> tuple[Any, Any, Any]:
    """A loader's batch."""
    return measured.pack([item(row) for row in rows])


def fed(data: Path, workers: int) -> measured.Batches:
    """The feed in a plain DataLoader."""
    from torch.utils.data import DataLoader

    from training.feeding import FeedDataset, StepSampler

    feed = feed_of(data)
    return DataLoader(
        FeedDataset(feed), batch_size=None, sampler=StepSampler(feed), num_workers=workers, collate_fn=packed
    )


class ViewRows:
    """Rows of the view by number, as Arrow hands them to our decoder: `datasets` itself would decode the pictures."""

    def __init__(self, data: Path) -> None:
        from datasets import load_from_disk

        rows: Any = load_from_disk(str(data / VIEW))
        self._rows = rows.select_columns(list(COLUMNS)).with_format("arrow")

    def __getitems__(self, numbers: list[int]) -> list[dict[str, Any]]:
        (batch,) = self._rows[numbers].combine_chunks().to_batches()
        return list(Decoder(batch, COLUMNS).rows())


def viewed(data: Path, workers: int) -> measured.Batches:
    """The view that `datasets` maps, under our sampler."""
    from torch.utils.data import DataLoader

    from training.feeding import RowSampler

    rows: Any = ViewRows(data)
    return DataLoader(rows, batch_sampler=RowSampler(feed_of(data)), num_workers=workers, collate_fn=packed)


def getter(data: Path) -> Callable[[int], measured.Item]:
    """One row by its number in the rows that were stored; the corpus has them in an order of its own.

    The checksums are touched in the same mapping, as they are in a process that reads.
    """
    opened = corpus.open(data)
    places = opened.places
    TOUCHED.clear()
    for batch in range(len(places)):
        places.open(batch)
    numbers = {int(id[-7:]): row for row, id in enumerate(opened.samples().column("id").to_pylist())}

    def get(number: int) -> measured.Item:
        batch, row = places.batch_of(numbers[number])
        return item(Decoder(places.open(batch), COLUMNS).row(row))

    return get


def resumed(data: Path) -> dict[str, float]:
    """Milliseconds from nothing but a state to the first batch at half of an epoch, checksums included."""
    state = {"step": feed_of(data).num_steps // 2, "order_hash": feed_of(data).order_hash}
    TOUCHED.clear()
    gc.collect()
    clock = measured.Clock()
    feed = feed_of(data).resume(state)
    rows = next(iter(feed))
    hashes(row["images"][0]["bytes"] for row in rows)
    return {"resume_ms": 1e3 * clock.read()["run_s"], "rows": len(rows)}


def exactness(data: Path) -> dict[str, int]:
    """Rows missing and doubled behind half of an epoch, over all `TOPOLOGIES`: 0 and 0."""
    half = feed_of(data).num_steps // 2
    wanted = [[item(row)[0] for row in feed_of(data).batch(step)] for step in range(half, feed_of(data).num_steps)]
    state = feed_of(data).state(half)
    missing = doubled = moved = 0
    for world, workers in TOPOLOGIES:
        found: dict[int, list[int]] = {}
        for rank in range(world):
            for worker in range(workers):
                feed = feed_of(data, rank=rank, world=world, worker=worker, num_workers=workers).resume(state)
                for step, rows in zip(feed.steps(), feed, strict=True):
                    found.setdefault(step, []).extend(item(row)[0] for row in rows)
        seen = Counter(idx for rows in found.values() for idx in rows)
        missing += sum(idx not in seen for rows in wanted for idx in rows)
        doubled += sum(count - 1 for count in seen.values())
        moved += sum(found.get(half + k) != rows for k, rows in enumerate(wanted))
    return {"missing": missing, "doubled": doubled, "moved": moved, "topologies": len(TOPOLOGIES)}


def main() -> None:
    """Take a measure of a variant."""
    chosen = measured.options()
    variant = chosen.variant
    measured.preload()
    pa.array([0])  # pyarrow imports pandas with its first conversion, where it is installed: 0.3 s
    if chosen.measure in ("resume", "exactness"):
        measured.report(**(resumed if chosen.measure == "resume" else exactness)(chosen.data))
        return
    if variant == "view":
        import datasets  # noqa: F401
    measured.main(
        prepare=None if variant in ("first", "mmap", "lean") else touch,
        sequential={"mmap": bare, "lean": lean}.get(variant, sequential),
        shuffled=shuffled,
        loader=viewed if variant == "view" else fed,
        getter=getter,
    )


if __name__ == "__main__":
    main()
