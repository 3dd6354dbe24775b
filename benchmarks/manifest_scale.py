"""Plan, snapshot, open, filter, mix, resume and diff on a manifest of 16.7M rows, each in a process of its own.

    python -m benchmarks.manifest_scale [--quick]
    python -m benchmarks.manifest_scale --measure NAME --data FOLDER --tasks N        (what it runs itself)

The manifest is generated first (`benchmarks.corpus_scale`); that is not timed. `open_s` is `corpus.open`, imports
done; `filter_s` a filter by organ system and modality, down to the number of rows, from nothing; `mixture_s` five flows
with weights, every step of a pass over all rows down to the rows' numbers; `peak_mb` the largest resident memory of
any of the processes, mapped pages included. `--quick` is the whole size with a fortieth of the mixture's steps, which
cost the same each; `mixture_s` is then what all of them would take.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.generation import line, show
from benchmarks.measuring import run

NUM_TASKS: Final = 4_200
BATCH: Final = 512
"""Rows of a global batch."""
QUICK_SHARE: Final = 40
TIMEOUT_S: Final = 600.0


def plan(data: Path, tasks: int) -> dict[str, Any]:
    """What a run does before it asks anything: read every commit entry, and find which planned tasks they cover."""
    from benchmarks.corpus_scale import planned
    from corpus.commit.entries import read_entries
    from corpus.commit.selection import done

    wanted = planned(tasks)
    began = time.perf_counter()
    entries = read_entries(data)
    read = time.perf_counter()
    finished = done(entries, wanted)
    return {"seconds": time.perf_counter() - began, "read_s": read - began, "done": len(finished), "of": len(wanted)}


def snapshot(data: Path, tasks: int) -> dict[str, Any]:
    """One more task of 256 rows, committed before, becomes part of the next snapshot, with card and views."""
    from benchmarks.corpus_ours import sample_of
    from benchmarks.corpus_rows import Row
    from benchmarks.corpus_scale import later, planned
    from corpus.changing.taking import take_snapshot
    from corpus.commit.writer import TaskWriter

    task = later()
    rows = (Row(k, f"row-{k:07d}", "Digestive", "Endoscopy", "Polyp.", bytes(1_000 + k)) for k in range(task.stop))
    with TaskWriter(data, task) as writer:
        for row in rows:
            writer.add(_placed(sample_of(row), flow=task.flow, source=task.source))
        writer.commit([], {"seconds": 1.0})
    wanted = [*planned(tasks), task]
    began = time.perf_counter()
    taken = take_snapshot(data, wanted)
    return {"seconds": time.perf_counter() - began, "name": taken.name, "rows": taken.num_rows}


def opened(data: Path, tasks: int) -> dict[str, Any]:
    """Open the latest snapshot; apart, count its rows without a filter."""
    import corpus

    began = time.perf_counter()
    rows = corpus.open(data)
    done = time.perf_counter()
    return {"seconds": done - began, "rows": len(rows), "count_s": time.perf_counter() - done}


def filtered(data: Path, tasks: int) -> dict[str, Any]:
    """Open, filter by two tags, count."""
    import corpus

    began = time.perf_counter()
    rows = len(corpus.open(data).filter(organ_system="Respiratory", modality="CT"))
    return {"seconds": time.perf_counter() - began, "rows": rows}


def mixed(data: Path, tasks: int, share: int = 1) -> dict[str, Any]:
    """Five flows with weights: every step of a pass over all rows, as row numbers; `share` > 1: the first of them."""
    from benchmarks.corpus_scale import digest

    began = time.perf_counter()
    feed = _feed(data)
    ready = time.perf_counter()
    steps = range(feed.num_steps // share)
    numbers: list[int] = []
    for step in steps:
        numbers += feed.row_numbers(step)
    took = time.perf_counter() - ready
    return {
        "seconds": ready - began + took * share,
        "ready_s": ready - began,
        "steps": len(steps),
        "draws": len(numbers),
        "digest": digest(numbers),
    }


def resumed(data: Path, tasks: int) -> dict[str, Any]:
    """From a state to the row numbers of the step in the middle."""
    state = {"step": _feed(data).num_steps // 2, "order_hash": _feed(data).order_hash}
    began = time.perf_counter()
    feed = _feed(data).resume(state)
    rows = len(feed.row_numbers(feed.step))
    return {"seconds": time.perf_counter() - began, "rows": rows}


def differing(data: Path, tasks: int) -> dict[str, Any]:
    """What is between the last two snapshots."""
    from corpus.manifest.diff import diff
    from corpus.manifest.snapshot import list_snapshots

    before, after = list_snapshots(data)[-2:]
    began = time.perf_counter()
    found = diff(data, before, after)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "added": found.added.num_rows, "removed": found.removed.num_rows}


MEASURES: Final[dict[str, Callable[[Path, int], dict[str, Any]]]] = {
    "open": opened,
    "filter": filtered,
    "plan": plan,
    "snapshot": snapshot,
    "diff": differing,
    "resume": resumed,
    "mixture": mixed,
    "mixture-quick": partial(mixed, share=QUICK_SHARE),
}


def main() -> None:
    """Measure, print the tables, and end with one JSON object; or be one of the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", choices=MEASURES)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tasks", type=int, default=NUM_TASKS)
    chosen = parser.parse_args()
    if chosen.measure:
        _one(chosen.measure, chosen.data, chosen.tasks)
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="calabash-bench-", ignore_cleanup_errors=True) as folder:
        _generate(Path(folder, "corpus"), chosen.tasks)
        keys = _measure(Path(folder, "corpus"), chosen.tasks, chosen.quick)
    print("\n" + json.dumps({key: round(value, 3) for key, value in keys.items()}))


def _generate(data: Path, tasks: int) -> None:
    """Make the manifest, and say what files a corpus of this size has."""
    from benchmarks.corpus_scale import found, make

    data.mkdir()
    began = time.perf_counter()
    made = make(data, tasks)
    seconds = time.perf_counter() - began
    entries = made.read_entries()
    sizes = sorted(file.bytes for entry in entries for file in entry.files)
    small = [size for size in sizes if size < 16 << 20]
    print(
        f"made {made.num_rows:,} rows in {len(entries):,} tasks and {len(made.pieces)} pieces: {seconds:.0f} s, "
        f"{made.num_rows / seconds:,.0f} rows/s"
    )
    print(
        f"shards named: {len(sizes):,} files, {sum(sizes) / 1e12:.2f} TB, median "
        f"{statistics.median(sizes) / 1e6:.1f} MB; below 16 MiB: {len(small):,} files "
        f"({len(small) / len(sizes):.0%}) with {sum(small) / sum(sizes):.1%} of the bytes, "
        " nearly all of them validation and test"
    )
    show("Files beside the shards", "number", "MB")
    for below in ("commits", "manifest"):
        paths = list(found(data, below))
        line(below, len(paths), sum(path.stat().st_size for path in paths) / 1e6)
    for kind in ("samples", "keys", "batches", "files"):
        line(f"  {kind}", len(made.pieces), sum(piece.tables[kind].bytes for piece in made.pieces) / 1e6)


def _measure(data: Path, tasks: int, quick: bool) -> dict[str, float]:
    """Every measure in its own process; the keys of the last line."""
    show("Measure", "seconds", "peak MB", "what")
    done: dict[str, dict[str, Any]] = {}
    wanted = [name for name in MEASURES if name.startswith("mixture") is False]
    for name in (*wanted, "mixture-quick" if quick else "mixture"):
        times = 3 if name in ("open", "filter", "resume") else 1
        tries = [_run(name, data, tasks) for _ in range(times)]
        one = done[name.removesuffix("-quick")] = sorted(tries, key=lambda one: one["seconds"])[times // 2]
        one["peak_mb"] = max(one["peak_mb"] for one in tries)
        more = {key: value for key, value in one.items() if key not in ("seconds", "peak_mb")}
        words = ", ".join(
            f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in more.items()
        )
        print(f"{name:22}{one['seconds']:16.3f}{one['peak_mb']:16.0f}  {words}", flush=True)
    return {
        "rows": done["open"]["rows"],
        **{f"{name}_s": one["seconds"] for name, one in done.items()},
        "peak_mb": max(one["peak_mb"] for one in done.values()),
    }


def _run(name: str, data: Path, tasks: int) -> dict[str, Any]:
    folder = data.parent / "said"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.manifest_scale", "--measure", name, "--data", str(data)]
    done = run([*command, "--tasks", str(tasks)], folder, TIMEOUT_S)
    if done.code:
        raise RuntimeError(f"{name} failed:\n{done.said[-2000:]}")
    return dict(done.result)


def _one(name: str, data: Path, tasks: int) -> None:
    """Be one measure: import what it needs, then take it."""
    import pyarrow as pa
    import pyarrow.dataset  # what pyarrow's first reading of a Parquet file imports

    import corpus.changing.takedown
    import corpus.manifest.diff
    import corpus.reader.feed
    import corpus.sharing.card
    import corpus.sharing.view  # noqa: F401

    pa.array([0])  # and its first conversion: pandas, where it is installed
    found = MEASURES[name](data, tasks)
    # not ru_maxrss: that begins with the memory of the process that started this one
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    found["peak_mb"], found["anon_mb"] = (int(status[key].split()[0]) / 1024 for key in ("VmHWM", "RssAnon"))
    print("RESULT " + json.dumps(found), flush=True)


def _feed(data: Path) -> Any:
    """Five flows, weighted as a stage of training weighs them, as many draws as there are rows."""
    import corpus
    from corpus.reader.feed import Feed
    from corpus.reader.mixture import Mixture

    rows = corpus.open(data)
    weights = {"captioning": 0.2, "long-annotation": 0.2, "multilingual-reasoning": 0.15, "synthetic-qa": 0.4,
               "video-description": 0.05}  # fmt: skip
    parts = {flow: rows.filter(flow=flow) for flow in weights}
    return Feed(Mixture(parts, weights, num_draws=rows.snapshot.num_rows), BATCH, seed=7)


def _placed(sample: Any, **places: str) -> Any:
    from dataclasses import replace

    return replace(sample, **places)


if __name__ == "__main__":
    main()
