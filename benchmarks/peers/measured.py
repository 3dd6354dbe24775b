"""What every format's script shares: the clock, the measures, and the last line.

A script gives `main` its functions; each measure is a process of its own, with imports before the clock:

    python SCRIPT MEASURE --rows FOLDER --data FOLDER [--variant NAME] [--workers N]
"""

import argparse
import gc
import itertools
import json
import random
import resource
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.corpus_rows import Row, expected, load_rows

BATCH = 32
"""Rows of a DataLoader's batch."""
WORKERS = 2
NUM_RANDOM = 1_000
BLOCK = 1_000
"""Stored rows of a block, of which a thousand shuffled rows should touch as many as there are."""

Item = tuple[int, Any, Any]
"""(idx, image as bytes or a view, text): what every reader hands out."""
Batches = Iterable[tuple[Any, Any, Any]]
"""(idx, lengths, one uint8 tensor of all images): what every DataLoader hands out."""


class Clock:
    """CPU seconds, of children that ended too, and seconds, since it was made or `start` was called."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Count from now on."""
        self._wall, self._cpu = time.perf_counter(), _cpu()

    def read(self) -> dict[str, float]:
        """`cpu_s` and `run_s`."""
        return {"run_s": time.perf_counter() - self._wall, "cpu_s": _cpu() - self._cpu}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def report(**found: Any) -> None:
    """The last line."""
    print("RESULT " + json.dumps(found), flush=True)


def written(rows: list[Any], data: Path, write: Callable[[list[Any], Path], None]) -> None:
    """Time a writer that has all rows in memory; the collector does not look at them again."""
    data.mkdir(parents=True, exist_ok=True)
    gc.collect()
    gc.freeze()
    clock = Clock()
    write(rows, data)
    took = clock.read()
    files = [path for path in data.rglob("*") if path.is_file()]
    report(**took, files=len(files), bytes=sum(path.stat().st_size for path in files), rows=len(rows))


def read(items: Iterable[Item], clock: Clock) -> dict[str, Any]:
    """Time a pass over all rows: every byte of every picture is hashed, every text looked at."""
    import xxhash

    digest, total, chars, order = xxhash.xxh3_64_intdigest, 0, 0, array("q")
    for idx, image, text in items:
        total ^= digest(image)
        chars += len(text)
        order.append(idx)
    return {**clock.read(), "xor": f"{total:016x}", "rows": len(order), "chars": chars, "order": order}


def load(batches: Batches, clock: Clock) -> dict[str, Any]:
    """Time an epoch of a DataLoader: the parent hashes each picture in the tensor that came."""
    import xxhash

    digest, total, order = xxhash.xxh3_64_intdigest, 0, array("q")
    first = 0.0
    for idx, lengths, tensor in batches:
        first = first or clock.read()["run_s"]
        view, start = memoryview(tensor.numpy()), 0
        for length in lengths.tolist():
            total ^= digest(view[start : start + length])
            start += length
        order.extend(idx.tolist())
    return {**clock.read(), "xor": f"{total:016x}", "rows": len(order), "first_s": first, "order": order}


def pack(items: list[Item]) -> tuple[Any, Any, Any]:
    """A DataLoader's batch: the copy that everybody makes, into one tensor."""
    import torch

    lengths = [len(image) for _, image, _ in items]
    tensor, start = torch.empty(sum(lengths), dtype=torch.uint8), 0
    view = memoryview(tensor.numpy())
    for (_, image, _), length in zip(items, lengths, strict=True):
        view[start : start + length] = image
        start += length
    return torch.tensor([idx for idx, _, _ in items]), torch.tensor(lengths), tensor


def picked(get: Callable[[int], Item], num_rows: int, clock: Clock) -> dict[str, Any]:
    """Time single rows at random, hashed, in microseconds; `get` takes a row's number."""
    import xxhash

    numbers = random.Random(5).choices(range(num_rows), k=NUM_RANDOM)
    took: list[float] = []
    for number in numbers:
        began = time.perf_counter()
        idx, image, _ = get(number)
        xxhash.xxh3_64_intdigest(image)
        took.append(1e6 * (time.perf_counter() - began))
        assert idx == number, f"asked for row {number}, got {idx}"
    took.sort()
    return {**clock.read(), "p50_us": took[len(took) // 2], "p99_us": took[len(took) * 99 // 100]}


def quality(order: "array[int]") -> dict[str, float]:
    """How well shuffled an order is: uniform is 1/3, 2 * 100 / N and the number of blocks (at most 1,000)."""
    count = len(order)
    moved = sum(abs(place - idx) for place, idx in enumerate(order)) / count / count
    near = sum(abs(one - other) <= 100 for one, other in itertools.pairwise(order)) / count
    spans = [order[start : start + BLOCK] for start in range(0, count - BLOCK + 1, BLOCK)] or [order]
    blocks = sum(len({idx // BLOCK for idx in span}) for span in spans) / len(spans)
    return {"displacement": moved, "neighbors": near, "blocks": blocks}


def preload() -> None:
    """Import what a measure needs, before the clock: torch only where a DataLoader is measured."""
    import xxhash  # noqa: F401

    if "loader" in sys.argv[1:2]:
        import torch.utils.data

        torch.set_num_threads(1)


def options() -> argparse.Namespace:
    """The measure and where things are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("measure")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--make", action="store_true", help="write the rows first, in the same process, unmeasured")
    parser.add_argument("--workers", type=int, default=WORKERS)
    return parser.parse_args()


def main(
    *,
    prepare: Callable[[Path], None] | None = None,
    write: Callable[[list[Row], Path], None] | None = None,
    sequential: Callable[[Path], Iterator[Item]] | None = None,
    shuffled: Callable[[Path], Iterator[Item]] | None = None,
    loader: Callable[[Path, int], Batches] | None = None,
    getter: Callable[[Path], Callable[[int], Item]] | None = None,
) -> None:
    """Take the measure that the command line names; `prepare` comes before the clock."""
    chosen = options()
    if chosen.measure == "write":
        assert write is not None
        written(load_rows(chosen.rows), chosen.data, write)
        return
    if chosen.make and write is not None:
        chosen.data.mkdir(parents=True)
        write(load_rows(chosen.rows), chosen.data)
    num_rows, xor = expected(chosen.rows)
    if prepare is not None:
        prepare(chosen.data)
    gc.collect()
    clock = Clock()
    if chosen.measure == "random":
        assert getter is not None
        get = getter(chosen.data)
        report(**picked(get, num_rows, Clock()), open_s=clock.read()["run_s"])
        return
    if chosen.measure == "loader":
        assert loader is not None
        batches = loader(chosen.data, chosen.workers)
        found = load(batches, clock)
        del batches  # joins the workers: their CPU counts from then on
        found |= clock.read()
    else:
        make = {"sequential": sequential, "shuffled": shuffled}[chosen.measure]
        assert make is not None
        found = read(make(chosen.data), clock)
    finish(found, num_rows, xor)


def finish(found: dict[str, Any], num_rows: int, xor: str) -> None:
    """Check that every row came once and unchanged, and report."""
    order = found.pop("order")
    if len(order) != num_rows or found["xor"] != xor:
        sys.exit(f"read {len(order)} rows with xor {found['xor']}, and {num_rows} were stored with xor {xor}")
    report(**found, **quality(order))
