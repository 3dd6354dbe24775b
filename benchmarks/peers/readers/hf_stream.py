"""`datasets`, streaming, over the Arrow streams of `hf.py`: a shuffle of shards and a buffer of 1,000 rows."""

from pathlib import Path

import measured
from datasets import Image, load_dataset
from hf import items

BUFFER = 1_000


def opened(data: Path, kind: str = "arrow", pattern: str = "train-*.arrow"):
    """All shards as one iterable dataset."""
    rows = load_dataset(kind, data_files=str(data / pattern), split="train", streaming=True)
    return rows.cast_column("image", Image(decode=False)) if kind == "parquet" else rows.decode(False)


class Tuples:
    """What `measured.pack` takes, from a streaming dataset, which is an iterable dataset of torch."""

    def __init__(self, rows) -> None:
        self.rows = rows

    def __call__(self, batch):
        """A batch packed."""
        return measured.pack([(row["idx"], row["image"]["bytes"], row["text"]) for row in batch])


def loader(data: Path, workers: int):
    """A plain DataLoader: each worker takes some of the shards."""
    from torch.utils.data import DataLoader

    rows = opened(data).shuffle(seed=7, buffer_size=BUFFER)
    return DataLoader(rows, batch_size=measured.BATCH, num_workers=workers, collate_fn=Tuples(rows))


if __name__ == "__main__":
    measured.preload()
    measured.main(
        sequential=lambda data: items(opened(data)),
        shuffled=lambda data: items(opened(data).shuffle(seed=7, buffer_size=BUFFER)),
        loader=loader,
    )
