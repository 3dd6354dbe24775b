"""litData: chunks of 64 MiB by `optimize`, its StreamingDataset, its own shuffle and its own loader."""

import os
from pathlib import Path

import measured
from litdata import StreamingDataLoader, StreamingDataset, optimize

from benchmarks.corpus_rows import Row

os.environ.setdefault("DATA_OPTIMIZER_NUM_WORKERS", "1")
ROWS: list[Row] = []


def stored(number: int):
    """A row as it stores it."""
    row = ROWS[number]
    values = {name: getattr(row, name) for name in ("idx", "id", "organ", "modality", "text")}
    return {**values, "image": row.image}


def write(rows: list[Row], data: Path) -> None:
    """One worker, forked, so that it has the rows already."""
    ROWS.extend(rows)
    optimize(
        fn=stored,
        inputs=list(range(len(rows))),
        output_dir=str(data),
        chunk_bytes="64MB",
        num_workers=1,
        start_method="fork",
        verbose=False,
    )


def opened(data: Path, shuffle: bool) -> StreamingDataset:
    """The chunks, read where they are."""
    return StreamingDataset(str(data), shuffle=shuffle, seed=7)


def items(rows):
    """(idx, image, text) of each row."""
    for row in rows:
        yield row["idx"], row["image"], row["text"]


def packed(rows):
    """A loader's batch."""
    return measured.pack(list(items(rows)))


def loader(data: Path, workers: int):
    """Its own DataLoader."""
    rows = opened(data, shuffle=True)
    return StreamingDataLoader(
        rows, batch_size=measured.BATCH, num_workers=workers, collate_fn=packed, profile_batches=False
    )


def getter(data: Path):
    """One row by its number."""
    rows = opened(data, shuffle=False)
    return lambda number: next(items([rows[number]]))


if __name__ == "__main__":
    measured.preload()
    measured.main(
        write=write,
        sequential=lambda data: items(opened(data, False)),
        shuffled=lambda data: items(opened(data, True)),
        loader=loader,
        getter=getter,
    )
