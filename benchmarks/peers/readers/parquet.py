"""Parquet of 100-row groups: pyarrow in order and by row, `datasets` streaming for a shuffle."""

from pathlib import Path

import measured
import pyarrow as pa
import pyarrow.parquet as pq
from hf import SHARD_BYTES, items
from hf_stream import BUFFER, opened

from benchmarks.corpus_rows import Row

GROUP = 100
COLUMNS = ("idx", "id", "organ", "modality", "text")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(rows: list[Row], data: Path) -> None:
    """Shards of 64 MiB, zstd, 100 rows to a group."""
    schema = pa.schema([("idx", pa.int64()), *((name, pa.string()) for name in COLUMNS[1:]), ("image", IMAGE)])
    start = 0
    while start < len(rows):
        with pq.ParquetWriter(str(data / f"train-{start:07d}.parquet"), schema, compression="zstd") as writer:
            size = 0
            while start < len(rows) and size < SHARD_BYTES:
                some = rows[start : start + GROUP]
                columns = [pa.array([getattr(row, name) for row in some]) for name in COLUMNS]
                columns.append(pa.array([{"bytes": row.image, "path": None} for row in some], IMAGE))
                writer.write_batch(pa.record_batch(columns, schema=schema))
                size += sum(len(row.image) for row in some)
                start += GROUP


def sequential(data: Path):
    """Batches of 100 rows; pictures as views."""
    for path in sorted(data.glob("*.parquet")):
        for batch in pq.ParquetFile(path, memory_map=True).iter_batches(GROUP):
            image = batch.column("image").field("bytes")
            for row, (idx, text) in enumerate(
                zip(batch.column("idx").to_pylist(), batch.column("text").to_pylist(), strict=True)
            ):
                yield idx, image[row].as_buffer(), text


def getter(data: Path):
    """One row by its number: its row group is read."""
    files = [pq.ParquetFile(path, memory_map=True) for path in sorted(data.glob("*.parquet"))]
    groups = [(file, group) for file in files for group in range(file.num_row_groups)]

    def get(number: int):
        file, group = groups[number // GROUP]
        table = file.read_row_group(group, use_threads=False)
        row = number % GROUP
        image = table.column("image").chunk(0).field("bytes")[row].as_buffer()
        return table.column("idx")[row].as_py(), image, table.column("text")[row].as_py()

    return get


if __name__ == "__main__":
    measured.preload()
    measured.main(
        write=write,
        sequential=sequential,
        shuffled=lambda data: items(opened(data, "parquet", "*.parquet").shuffle(seed=7, buffer_size=BUFFER)),
        getter=getter,
    )
