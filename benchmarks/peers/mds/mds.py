"""MosaicML streaming: MDS shards of 64 MiB, its StreamingDataset with py1e shuffle."""

import importlib.machinery
import sys
import types
from pathlib import Path

import measured


class Absent(types.ModuleType):
    """torchvision, which `streaming.vision` wants at import and nothing here uses: it has no CPU build."""

    __path__ = []  # noqa: RUF012

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return object


for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
    sys.modules[name] = Absent(name)
    sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)

from streaming import MDSWriter, StreamingDataset  # noqa: E402
from streaming.base.util import clean_stale_shared_memory  # noqa: E402

from benchmarks.corpus_rows import Row  # noqa: E402

COLUMNS = {"idx": "int", "id": "str", "organ": "str", "modality": "str", "text": "str", "image": "bytes"}
NAMES = tuple(COLUMNS)


def write(rows: list[Row], data: Path) -> None:
    """Shards of 64 MiB, no compression, no hash: the least that it does."""
    with MDSWriter(out=str(data), columns=COLUMNS, size_limit=64 << 20) as writer:
        for row in rows:
            writer.write({name: getattr(row, name) for name in NAMES})


def opened(data: Path, shuffle: bool) -> StreamingDataset:
    """The shards, read where they are."""
    clean_stale_shared_memory()
    return StreamingDataset(local=str(data), shuffle=shuffle, shuffle_seed=7, batch_size=measured.BATCH)


def items(rows):
    """(idx, image, text) of each row."""
    for row in rows:
        yield row["idx"], row["image"], row["text"]


def packed(rows):
    """A loader's batch."""
    return measured.pack(list(items(rows)))


def loader(data: Path, workers: int):
    """A plain DataLoader over it, as its users write."""
    from torch.utils.data import DataLoader

    return DataLoader(opened(data, True), batch_size=measured.BATCH, num_workers=workers, collate_fn=packed)


def getter(data: Path):
    """One row by its number."""
    rows = opened(data, False)
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
