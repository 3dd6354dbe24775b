"""What writing 20,000 rows of 30 KB costs, beside bare pyarrow and the formats made for training.

    python -m benchmarks.corpus_write [--quick] [--peers 'litdata;mds;...']

Every figure is of a fresh process that has the rows in memory; CPU counts children, medians are over repetitions that
take turns. Ours goes the real way: `TaskWriter`, tasks of 4,096 rows, one file for every modality, fsync, xxh3-128
and CRC-32, commit entries. `ratio_to_pyarrow` is our CPU over that of pyarrow's stream writer, which gets the same
columns and has the same two hashes and an fsync per task. Peers store six columns and nobody else syncs.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks import corpus_formats as formats
from benchmarks.corpus_rows import make_rows
from benchmarks.generation import line, show

PEERS = (formats.HF, formats.PARQUET, formats.LITDATA, formats.MDS, formats.WEBDATASET, formats.LANCE)


def main() -> None:
    """Measure, print the table, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4,000 rows and no peers unless they are named")
    parser.add_argument(
        "--peers", help=f"of {'; '.join(peer.name for peer in PEERS)}, with semicolons; none: an empty word"
    )
    chosen = parser.parse_args()
    num_rows, times = (4_000, 3) if chosen.quick else (20_000, 5)
    named = (chosen.peers or "").split(";") if chosen.quick or chosen.peers is not None else [p.name for p in PEERS]
    peers = [peer for peer in PEERS if peer.name in named]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {num_rows:,} rows, {times} repetitions")
    with tempfile.TemporaryDirectory(prefix="calabash-bench-", ignore_cleanup_errors=True) as folder:
        rows, data = Path(folder, "rows"), Path(folder, "data")
        make_rows(rows, num_rows)
        own = (formats.BARE_WRITER, formats.WRITER, *(() if chosen.quick else (formats.XXH_WRITER,)))
        found = formats.in_turn(own, "write", rows, data, times)
        found |= formats.in_turn(peers, "write", rows, data, 1 if chosen.quick else 3)
        overhead = formats.measure(formats.WRITER, "overhead", rows, data)
    show("Write", "CPU s", "over pyarrow", "wall s", "MB", "files", "peak anon MB")
    bare = formats.median(found[formats.BARE_WRITER], "cpu_s")
    for system, runs in found.items():
        cpu, wall = formats.median(runs, "cpu_s"), formats.median(runs, "run_s")
        last = runs[-1]
        line(system.name, cpu, cpu / bare, wall, last["bytes"] / 1e6, int(last["files"]), last["anon_mb"])
    for peer in peers:
        if not peer.is_installed:
            line(peer.name, "absent")
    print(f"\na task of one row is committed in {overhead['p50_ms']:.1f} ms (90%: {overhead['p90_ms']:.1f})")
    keys = {
        "ratio_to_pyarrow": formats.ratio(found, formats.WRITER, formats.BARE_WRITER),
        "cpu_s": formats.median(found[formats.WRITER], "cpu_s"),
        "reference_cpu_s": bare,
        "commit_ms": overhead["p50_ms"],
        "rows": num_rows,
    }
    print("\n" + json.dumps({key: round(value or 0.0, 3) for key, value in keys.items()}))


if __name__ == "__main__":
    main()
