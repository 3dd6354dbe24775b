"""What reading 20,000 rows of 30 KB costs, beside bare mapped Arrow and the formats made for training.

    python -m benchmarks.corpus_read [--quick] [--peers 'litdata;mds;...']

Every figure is of a fresh process, imports before the clock; CPU counts children, medians are over repetitions that
take turns. Every byte of every picture is hashed, and a system whose hashes do not come to the common sum is an error.
The page cache is warm. A ratio is the median, over rounds, of ours over theirs in CPU seconds of one round, but
`sequential_vs_mmap`, which is rows per CPU second, ours over theirs: bare `pa.ipc.open_stream` over the same mapped
shards that hands out the same values. Ours has its checksums touched before the clock and its files mapped anew; what
a first touch adds is a line of its own, and part of `resume_ms`. Ours stores 33 columns a row, peers six.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import corpus_formats as formats
from benchmarks.corpus_formats import System
from benchmarks.corpus_rows import make_rows
from benchmarks.generation import line, show

Found = dict[System, list[dict[str, Any]]]

STORED = (formats.WRITER, formats.HF, formats.PARQUET, formats.LITDATA, formats.MDS, formats.WEBDATASET, formats.LANCE)
TIMES = 5
QUICK = {
    "sequential": (formats.OURS, formats.FIRST, formats.MMAP),
    "shuffled": (formats.OURS, formats.LITDATA, formats.MDS),
    "loader": (formats.FEED, formats.HF),
    "random": (formats.OURS,),
}
"""What the keys of the last line need; of the loaders the best peer, litdata's being dearer."""
QUICK_PEERS = tuple(one.name for systems in QUICK.values() for one in systems if one.data != "ours")
SEQUENTIAL = (
    formats.OURS, formats.FIRST, formats.MMAP, formats.LEAN, formats.HF, formats.STREAM, formats.LITDATA, formats.MDS,
    formats.WEBDATASET, formats.LANCE, formats.PARQUET,
)  # fmt: skip
SHUFFLED = (
    formats.OURS, formats.FIRST, formats.LITDATA, formats.MDS, formats.HF, formats.STREAM, formats.WEBDATASET,
    formats.LANCE, formats.PARQUET,
)  # fmt: skip
LOADERS = (
    formats.FEED, formats.VIEW, formats.FEED_FIRST, formats.LITDATA, formats.HF, formats.STREAM, formats.MDS,
    formats.WEBDATASET,
)  # fmt: skip
RANDOM = (formats.OURS, formats.HF, formats.MDS, formats.LANCE, formats.LITDATA, formats.PARQUET)


def table(title: str, found: Found, base: System, *columns: str) -> None:
    """CPU seconds, over `base`, and further figures of a measure."""
    show(title, "CPU s", "CPU over ours", "wall s", "anon MB", *columns)
    for system, runs in found.items():
        cpu = formats.median(runs, "cpu_s")
        more = [formats.median(runs, column) for column in columns]
        over = cpu / formats.median(found[base], "cpu_s")
        line(system.name, cpu, over, formats.median(runs, "run_s"), max(run["anon_mb"] for run in runs), *more)


def best(found: Found, ours: Sequence[System], peers: Sequence[System]) -> float | None:
    """The cheaper of our ways over the cheaper of the peers', each by its median CPU; None without peers."""
    costs = {system: formats.median(runs, "cpu_s") for system, runs in found.items()}
    theirs = [costs[peer] for peer in peers if peer in costs]
    own = [costs[one] for one in ours if one in costs]
    return min(own) / min(theirs) if own and theirs else None


def measured(rows: Path, data: Path, peers: Sequence[str], quick: bool) -> Mapping[str, float | None]:
    """Every table; the keys of the last line. A quick peer writes in the process that reads, which saves an import."""
    times = 1 if quick else TIMES

    def run(systems: Sequence[System], what: str, repetitions: int) -> Found:
        wanted = [one for one in systems if one.data == "ours" or one.name in peers]
        if not quick:
            return formats.in_turn(wanted, what, rows, data, repetitions)
        chosen = [one for one in wanted if one in QUICK[what]]
        own = formats.in_turn([one for one in chosen if one.data == "ours"], what, rows, data, 1)
        return own | formats.in_turn([one for one in chosen if one not in own], what, rows, data, 1, "--make")

    read = () if quick else peers
    stored = [one for one in STORED if one.data == "ours" or any(name in read for name in readers(one))]
    with ThreadPoolExecutor(2) as pool:  # nothing of this is measured
        for done in [pool.submit(formats.measure, one, "write", rows, data) for one in stored if one.is_installed]:
            done.result()
    sequential = run(SEQUENTIAL, "sequential", times)
    table("Sequential", sequential, formats.OURS)
    shuffled = run(SHUFFLED, "shuffled", times)
    table("Shuffled, each its own way", shuffled, formats.OURS, "displacement", "neighbors", "blocks")
    loaders = run(LOADERS, "loader", times) if formats.FEED.is_installed else {}
    if loaders:
        table("DataLoader, 2 workers, batches of 32 in one tensor", loaders, formats.FEED, "first_s")
    random = run(RANDOM, "random", 1 if quick else 3)
    show("A row at random", "median us", "99% us", "open s")
    for system, runs in random.items():
        line(system.name, *(formats.median(runs, key) for key in ("p50_us", "p99_us", "open_s")))
    resumes = [formats.measure(formats.OURS, "resume", rows, data) for _ in range(1 if quick else 5)]
    exact = formats.measure(formats.OURS, "exactness", rows, data)
    print(
        f"\nresume at 50%: {formats.median(resumes, 'resume_ms'):.0f} ms to the first batch, checksums included; "
        f"{exact['missing']} missing, {exact['doubled']} doubled, {exact['moved']} batches moved "
        f"over {exact['topologies']} topologies"
    )
    touched = formats.median(sequential[formats.FIRST], "cpu_s") - formats.median(sequential[formats.OURS], "cpu_s")
    over = formats.ratio(sequential, formats.MMAP, formats.OURS)
    return {
        "sequential_vs_mmap": over,
        "shuffled_vs_litdata": formats.ratio(shuffled, formats.OURS, formats.LITDATA),
        "shuffled_vs_mds": formats.ratio(shuffled, formats.OURS, formats.MDS),
        "dataloader_vs_best": best(loaders, (formats.FEED, formats.VIEW), (formats.LITDATA, formats.HF)),
        "resume_ms": formats.median(resumes, "resume_ms"),
        "resume_missing": exact["missing"],
        "resume_doubled": exact["doubled"],
        "random_row_us": formats.median(random[formats.OURS], "p50_us"),
        "anon_mb": max(run["anon_mb"] for run in (*sequential[formats.OURS], *shuffled[formats.OURS])),
        "first_touch_cpu_s": touched,
        "displacement": shuffled[formats.OURS][0]["displacement"],
        "neighbors": shuffled[formats.OURS][0]["neighbors"],
    }


def readers(stored: System) -> list[str]:
    """The names of the systems that read what one writes."""
    return [one.name for one in {*SEQUENTIAL, *SHUFFLED} if one.data == stored.data]


def main() -> None:
    """Measure, print the tables, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="6,400 rows, what the keys need, one repetition")
    names = dict.fromkeys(one.name for one in (*SEQUENTIAL, *SHUFFLED, *LOADERS) if one.data != "ours")
    parser.add_argument("--peers", help=f"of {'; '.join(names)}, with semicolons; none: an empty word")
    chosen = parser.parse_args()
    num_rows, times = (6_400, 1) if chosen.quick else (20_000, TIMES)
    everybody = QUICK_PEERS if chosen.quick else tuple(names)
    peers = everybody if chosen.peers is None else tuple(chosen.peers.split(";"))
    absent = [one.name for one in SHUFFLED if one.name in peers and not one.is_installed]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {num_rows:,} rows, {times} repetitions")
    if absent:
        print(f"absent (make peers): {', '.join(absent)}")
    with tempfile.TemporaryDirectory(prefix="calabash-bench-", ignore_cleanup_errors=True) as folder:
        rows = Path(folder, "rows")
        make_rows(rows, num_rows)
        keys = measured(rows, Path(folder, "data"), peers, chosen.quick)
    print("\n" + json.dumps({key: None if value is None else round(value, 4) for key, value in keys.items()}))


if __name__ == "__main__":
    main()
