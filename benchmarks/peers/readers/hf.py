"""`datasets`, map-style: Arrow streams as its own writer makes them, `Dataset` rows, an indices shuffle."""

import random
from pathlib import Path

import measured
from datasets import Dataset, Features, Image, Value, concatenate_datasets, disable_progress_bars
from datasets.arrow_writer import ArrowWriter

from benchmarks.corpus_rows import Row

SHARD_BYTES = 64 << 20
FEATURES = Features(
    {
        "idx": Value("int64"),
        "id": Value("string"),
        "organ": Value("string"),
        "modality": Value("string"),
        "text": Value("string"),
        "image": Image(decode=False),
    }
)
disable_progress_bars()


def write(rows: list[Row], data: Path) -> None:
    """Shards of 64 MiB, batches of 100 rows, which is its default for pictures."""
    start = 0
    while start < len(rows):
        path = data / f"train-{start:07d}.arrow"
        with ArrowWriter(path=str(path), features=FEATURES, writer_batch_size=100) as writer:
            size = 0
            while start < len(rows) and size < SHARD_BYTES:
                row = rows[start]
                values = {name: getattr(row, name) for name in ("idx", "id", "organ", "modality", "text")}
                writer.write({**values, "image": {"bytes": row.image, "path": None}})
                size += len(row.image) + len(row.text)
                start += 1
            writer.finalize()


def opened(data: Path) -> Dataset:
    """All shards as one map-style dataset, mapped."""
    return concatenate_datasets([Dataset.from_file(str(path)) for path in sorted(data.glob("train-*.arrow"))])


def items(rows):
    """(idx, image, text) of each row."""
    for row in rows:
        yield row["idx"], row["image"]["bytes"], row["text"]


def shuffled(data: Path):
    """Its own shuffle: an indices mapping, kept in memory."""
    return items(opened(data).shuffle(seed=7, keep_in_memory=True))


class Tuples:
    """What `measured.pack` takes, from a map-style dataset."""

    def __init__(self, rows: Dataset) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, numbers: list[int]):
        found = self.rows[numbers]
        images = [image["bytes"] for image in found["image"]]
        return list(zip(found["idx"], images, found["text"], strict=True))


def loader(data: Path, workers: int):
    """A plain DataLoader over a shuffled sampler; a batch is one indexing."""
    import torch
    from torch.utils.data import DataLoader

    generator = torch.Generator().manual_seed(random.Random(7).randrange(1 << 30))
    return DataLoader(
        Tuples(opened(data)),
        batch_size=measured.BATCH,
        shuffle=True,
        generator=generator,
        num_workers=workers,
        collate_fn=measured.pack,
    )


def getter(data: Path):
    """One row by its number."""
    rows = opened(data)

    def get(number: int):
        row = rows[number]
        return row["idx"], row["image"]["bytes"], row["text"]

    return get


if __name__ == "__main__":
    measured.preload()
    measured.main(
        write=write, sequential=lambda data: items(opened(data)), shuffled=shuffled, loader=loader, getter=getter
    )
