"""Lance: a dataset of its own, in order and by `take` of a permutation."""

import random
from pathlib import Path

import lance
import measured
import pyarrow as pa

from benchmarks.corpus_rows import Row

GROUP = 100
SCHEMA = pa.schema(
    [
        ("idx", pa.int64()),
        *((name, pa.string()) for name in ("id", "organ", "modality", "text")),
        ("image", pa.binary()),
    ]
)


def write(rows: list[Row], data: Path) -> None:
    """Batches of 100 rows, files of 64 MiB."""

    def batches():
        for start in range(0, len(rows), GROUP):
            some = rows[start : start + GROUP]
            columns = [pa.array([getattr(row, name) for row in some], SCHEMA.field(name).type) for name in SCHEMA.names]
            yield pa.record_batch(columns, schema=SCHEMA)

    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches())
    lance.write_dataset(reader, str(data / "rows.lance"), max_bytes_per_file=64 << 20)


def items(batches):
    """(idx, image, text) of each row of Arrow batches; pictures as views."""
    for batch in batches:
        image = batch.column("image")
        for row, (idx, text) in enumerate(
            zip(batch.column("idx").to_pylist(), batch.column("text").to_pylist(), strict=True)
        ):
            yield idx, image[row].as_buffer(), text


def sequential(data: Path):
    """Its scanner."""
    return items(lance.dataset(str(data / "rows.lance")).to_batches(columns=["idx", "text", "image"]))


def shuffled(data: Path):
    """It has no shuffle of its own: a hundred rows of a permutation at a time."""
    rows = lance.dataset(str(data / "rows.lance"))
    order = list(range(rows.count_rows()))
    random.Random(7).shuffle(order)
    for start in range(0, len(order), GROUP):
        yield from items(rows.take(order[start : start + GROUP], columns=["idx", "text", "image"]).to_batches())


def getter(data: Path):
    """One row by its number."""
    rows = lance.dataset(str(data / "rows.lance"))
    return lambda number: next(items(rows.take([number], columns=["idx", "text", "image"]).to_batches()))


if __name__ == "__main__":
    measured.preload()
    measured.main(write=write, sequential=sequential, shuffled=shuffled, getter=getter)
