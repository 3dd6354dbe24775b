"""WebDataset: tar shards of 64 MiB, a shuffle of shards and a buffer of 1,000 rows."""

import json
from pathlib import Path

import measured
import webdataset

from benchmarks.corpus_rows import Row

BUFFER = 1_000


def write(rows: list[Row], data: Path) -> None:
    """Three members a row: picture, text, tags."""
    with webdataset.ShardWriter(str(data / "train-%06d.tar"), maxsize=64 << 20, maxcount=1 << 40, verbose=0) as sink:
        for row in rows:
            tags = json.dumps({"id": row.id, "organ": row.organ, "modality": row.modality})
            sink.write({"__key__": f"{row.idx:09d}", "jpg": row.image, "txt": row.text, "json": tags.encode()})


def opened(data: Path, shuffle: bool):
    """The shards, in order or shuffled."""
    urls = [str(path) for path in sorted(data.glob("*.tar"))]
    if not shuffle:
        return webdataset.WebDataset(urls, shardshuffle=False)
    rows = webdataset.WebDataset(urls, shardshuffle=len(urls), detshuffle=True, seed=7)
    return rows.shuffle(BUFFER, initial=BUFFER)


def items(rows):
    """(idx, image, text) of each row."""
    for row in rows:
        yield int(row["__key__"]), row["jpg"], row["txt"].decode()


def packed(rows):
    """A loader's batch."""
    return measured.pack(list(items(rows)))


def loader(data: Path, workers: int):
    """Its own loader; each worker takes some of the shards."""
    return webdataset.WebLoader(opened(data, True), batch_size=measured.BATCH, num_workers=workers, collate_fn=packed)


if __name__ == "__main__":
    measured.preload()
    measured.main(
        write=write,
        sequential=lambda data: items(opened(data, False)),
        shuffled=lambda data: items(opened(data, True)),
        loader=loader,
    )
