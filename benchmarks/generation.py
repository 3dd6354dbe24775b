"""What a generated sample costs, beside the raw aiohttp loop and the peers, in one run against one kind of server.

    python -m benchmarks.generation [--quick] [--peers curator,datatrove,...]

The server waits 200 ms and answers about 200 tokens; 256 requests are in flight. Marginal CPU is
(CPU at 10,000 - CPU at 2,000) / 8,000 records, the client's children counted and the server not. Peers
come from `make peers`. `--quick` is a short form of under 50 seconds: smaller sizes, so that a figure of CPU
is some 20% uncertain, no peers unless they are named, and no stumbles, rate cap or shrunk pictures. The
pace is counted from the first request to the last, everybody's start left out: ours also the canary
questions, which a run asks one after the other before its records (0.6 s against this server).
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import measures
from benchmarks.clients import NAMES, OURS, RAW, Job, folder, is_installed
from benchmarks.site import make_pictures


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many records each measure takes; 0 leaves a measure out."""

    small: int = 2_000
    large: int = 10_000
    pictures: tuple[int, int] = (200, 1_000)
    killed: int = 4_000
    shrunk: bool = True
    refused: int = 2_000
    stumbled: int = 4_000
    capped: int = 4_000
    memory: tuple[int, ...] = (10_000, 50_000, 200_000)
    extras: int = 8_192


QUICK = Sizes(1_000, 4_000, (100, 600), 1_200, False, 800, 0, 0, (), 0)


def show(title: str, *columns: str) -> None:
    """The head of a table."""
    print(f"\n{title}\n{'':22}" + "".join(f"{column:>16}" for column in columns), flush=True)


def line(name: str, *values: object) -> None:
    """One line of a table."""
    shown = [f"{value:16.2f}" if isinstance(value, float) else f"{value!s:>16}" for value in values]
    print(f"{name:22}" + "".join(shown), flush=True)


def texts(sizes: Sizes, peers: Sequence[str]) -> dict[str, measures.Numbers]:
    """Text records: the raw loop, us, the peers."""
    show(
        f"Text, {sizes.small:,} and {sizes.large:,} records",
        *("CPU ms/record", "over raw", "records/s", "over raw", "peak MB", "to commit s"),
    )
    found: dict[str, measures.Numbers] = {}
    for name in (RAW, OURS, *peers):
        if not is_installed(name):
            line(name, "absent")
            continue
        small, large = (Job(n, more=measures.NO_CANARY) for n in (sizes.small, sizes.large))
        one = found[name] = measures.throughput(name, small, large)
        raw = found[RAW]
        commit = one["commit_s"] if name == OURS else "-"
        ratios = one["cpu_ms"] / raw["cpu_ms"], one["wire_per_s"] / raw["wire_per_s"]
        line(name, one["cpu_ms"], ratios[0], one["wire_per_s"], ratios[1], one["peak_mb"], commit)
    return found


def parts(sizes: Sizes) -> None:
    """Where our own CPU goes, by a sampling profile of the larger size."""
    done, _ = measures.ran(OURS, Job(sizes.large, options=("--profile",)))
    show("Where it goes (profiled, start-up included)", "ms/record", "share")
    seconds: dict[str, float] = done.result.get("parts", {})
    for part, spent in seconds.items():
        line(part, 1000 * spent / sizes.large, spent / sum(seconds.values()))


def pictures(sizes: Sizes, peers: Sequence[str]) -> dict[str, measures.Numbers]:
    """One JPEG of 150 KB a record, 64 in flight; ours once as it is and once shrunk to a smaller budget."""
    small, large = sizes.pictures
    show(f"Images of 150 KB, {small:,} and {large:,} records", "CPU ms/record", "over raw", "written B", "peak MB")
    found: dict[str, measures.Numbers] = {}
    with folder() as where:
        images = make_pictures(where / "images", large)
        plain, raw = ("--plain-pictures",), Job(large, 64, images)
        jobs = {RAW: raw, OURS: Job(large, 64, images, options=plain)}
        if sizes.shrunk:
            jobs[f"{OURS}, shrunk"] = Job(large, 64, images, "pictures = { max_pixels = 100000 }", options=plain)
        for name, job in (jobs | {peer: raw for peer in peers if is_installed(peer)}).items():
            client = OURS if name.startswith(OURS) else name
            few = Job(small, 64, job.images, job.more, options=job.options)
            one = found[name] = measures.throughput(client, few, job)
            ratio = one["cpu_ms"] / found[RAW]["cpu_ms"]
            line(name, one["cpu_ms"], ratio, one["other_bytes"] if client == OURS else "-", one["peak_mb"])
    return found


def faults(sizes: Sizes, peers: Sequence[str]) -> dict[str, float]:
    """kill -9 and refusals: what is paid twice, what is lost."""
    found: dict[str, float] = {}
    show(f"kill -9 at half of {sizes.killed:,}, then again", "answered", "kept", "asked twice", "repaid", "rows")
    for name in (OURS, *peers):
        one = measures.killed(name, sizes.killed)
        line(name, *(int(one[key]) for key in ("answered", "kept", "asked_again", "repaid", "rows")))
        found.setdefault("repaid", one["repaid"])
    show(f"1% of {sizes.refused:,} refused for good", "refused", "rejects", "other rows lost", "died")
    for name in (OURS, *peers):
        one = measures.refused(name, sizes.refused)
        line(name, int(one["refused"]), int(one["rejects"]), int(one["lost"]), bool(one["died"]))
        found.setdefault("lost", one["lost"])
    return found


def troubles(sizes: Sizes, peers: Sequence[str]) -> dict[str, float]:
    """Servers that stumble, and servers that take so many requests a second."""
    found: dict[str, float] = {}
    show(f"30% of {sizes.stumbled:,} get a 500 first", "time ratio")
    for name in (OURS, *peers):
        found.setdefault("stumble_time_ratio", ratio := measures.stumbled(name, sizes.stumbled))
        line(name, ratio)
    show(f"{sizes.capped:,} at 200 requests/s (a bucket of 200), 429 beyond", "share of the cap", "rows", "died")
    for name in (OURS, *peers):
        one = measures.capped(name, sizes.capped)
        line(name, one["share"], int(one["rows"]), bool(one["died"]))
        found.setdefault("cap_share", one["share"])
    return found


def extras(sizes: Sizes, one_process: float) -> None:
    """Two processes, Prefect, many small tasks, memory."""
    show("Calabash in other forms", "CPU ms/record", "over one process")
    two = measures.two_processes(sizes.small, sizes.large)
    line("two processes at 128", two, two / one_process)
    prefect = ("--prefect",)
    one = measures.throughput(OURS, Job(sizes.small, options=prefect), Job(sizes.large, options=prefect))
    line("in Prefect tasks", one["cpu_ms"], one["cpu_ms"] / one_process)
    gated = ("--gates",)
    one = measures.throughput(OURS, Job(sizes.small, options=gated), Job(sizes.large, options=gated))
    line("with all pure gates", one["cpu_ms"], one["cpu_ms"] / one_process)
    show(f"Tasks of 512 records, {sizes.extras:,} in all", "pace over one task")
    line(OURS, measures.many_tasks(sizes.extras, 512))
    show("Memory against a server that answers at once", "peak MB", "bytes/record more")
    seen = measures.memory(sizes.memory)
    for (before, low), (n, high) in zip([seen[0], *seen], seen, strict=False):
        line(f"{n:,} records", high, (high - low) * 1e6 / (n - before) if n > before else 0.0)


def main() -> None:
    """Measure, print the tables, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peers", help=f"of {', '.join(NAMES)}; none: an empty word")
    chosen = parser.parse_args()
    sizes = QUICK if chosen.quick else Sizes()
    named = [name for name in (chosen.peers or "").split(",") if name]
    peers = named if chosen.quick or chosen.peers is not None else list(NAMES)
    present = [name for name in peers if is_installed(name)]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; peers: {', '.join(present) or 'none asked for'}")
    if chosen.quick:
        print("the short form: its CPU figures are some 20% uncertain")
    text = texts(sizes, peers)
    if not chosen.quick:
        parts(sizes)
    image = pictures(sizes, present)
    fault = faults(sizes, present)
    trouble = troubles(sizes, present) if sizes.capped else {}
    if sizes.extras:
        extras(sizes, text[OURS]["cpu_ms"])
    keys = {
        "cpu_ms_per_record": text[OURS]["cpu_ms"],
        "records_per_s": text[OURS]["wire_per_s"],
        "reference_cpu_ms": text[RAW]["cpu_ms"],
        "reference_records_per_s": text[RAW]["wire_per_s"],
        "image_cpu_ms": image[OURS]["cpu_ms"],
        "image_reference_cpu_ms": image[RAW]["cpu_ms"],
        "image_bytes_written": image[OURS]["other_bytes"],
        "repaid_after_kill": fault["repaid"],
        "lost_rows": fault["lost"],
        "peak_mb": text[OURS]["peak_mb"],
        "commit_s": text[OURS]["commit_s"],
        **trouble,
    }
    print("\n" + json.dumps({key: round(value, 3) for key, value in keys.items()}))


if __name__ == "__main__":
    main()
