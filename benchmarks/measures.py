"""The measures of benchmarks.generation, one function each: they run clients and return plain numbers."""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.clients import OURS, Job, folder, start
from benchmarks.measuring import Endpoint, Run, endpoint

Numbers = dict[str, float]

LAX: Final = "patience_s = 60\nmax_retries = 8"
"""More patience for servers that fail on purpose."""


NO_CANARY: Final = "canary = 0"
"""Every request is a record's, so that they can be counted."""


def ran(name: str, job: Job, *options: str) -> tuple[Run, Numbers]:
    """One client against a server of its own, with what the server counted."""
    with endpoint(*options) as server, folder() as where:
        done = start(name, job, server, where)
        if name == OURS and done.code != 0:
            raise SystemExit(f"Calabash died with code {done.code}:\n{done.said[-2000:]}")
        return done, dict(server.stats()) | _committed(where)


def _committed(where: Path) -> Numbers:
    """When our last commit entry appeared, in seconds since 1970, and the bytes of shards and of the rest."""
    entries = [path.stat().st_ctime for path in where.glob("corpus/commits/*/*.json")]
    sizes = {path: path.stat().st_size for path in where.glob("corpus/**/*") if path.is_file()}
    rows = sum(size for path, size in sizes.items() if "data" in path.relative_to(where / "corpus").parts)
    return {"committed": max(entries, default=0.0), "row_bytes": rows, "other_bytes": sum(sizes.values()) - rows}


def throughput(name: str, small: Job, large: Job) -> Numbers:
    """Marginal CPU per record between two sizes, and the pace and memory of the larger."""
    first, _ = ran(name, small)
    second, counted = ran(name, large)
    if not second.result.get("rows"):
        print(second.said[-1000:], file=sys.stderr)
    return {
        "cpu_ms": 1000 * (second.cpu_s - first.cpu_s) / (large.n - small.n),
        "per_s": large.n / second.run_s,
        "wire_per_s": counted["requests"] / max(counted["seconds"], 1e-9),
        "peak_mb": second.peak_mb,
        "rows": float(second.result.get("rows", 0)),
        "commit_s": counted["committed"] - counted["replied"],
        "other_bytes": max(counted["other_bytes"], second.written - counted["row_bytes"]) / large.n,
    }


def two_processes(small: int, large: int) -> float:
    """Marginal CPU per record of two processes at 128 in flight that share the work, in milliseconds."""

    def both(n: int) -> float:
        with endpoint() as server, folder() as one, folder() as two, ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(start, OURS, Job(n // 2, in_flight=128), server, where) for where in (one, two)]
            return sum(job.result().cpu_s for job in jobs)

    return 1000 * (both(large) - both(small)) / (large - small)


def killed(name: str, n: int) -> Numbers:
    """`kill -9` when half is answered, then run again: what the second run asked although it was kept."""
    with endpoint() as server, folder() as where:
        start(name, Job(n, more=NO_CANARY), server, where, _when(server, n // 2))
        kept = _num_kept(where) if name == OURS else 0
        answered = server.stats()["ok"]
        time.sleep(0.5)  # what was on the wire lands, as it would
        server.reset()
        again = start(name, Job(n, more=NO_CANARY, resume=True), server, where)
        asked = server.stats()
    return {
        "answered": answered,
        "kept": kept,
        "asked_again": asked["answered_twice"],
        "repaid": asked["ok"] - (n - kept) if name == OURS else asked["answered_twice"],
        "rows": float(again.result.get("rows", 0)),
    }


def _when(server: Endpoint, num_ok: int) -> Callable[[], bool]:
    """True, asked every now and then, once the server has answered so many."""
    return lambda: server.stats()["ok"] >= num_ok


def _num_kept(where: Path) -> int:
    """How many replies can be read in the logs now."""
    from teachers.replay.blocks import Replies

    with Replies(where / "corpus", "cases", "lines") as replies:
        return len(replies.of(0))


def refused(name: str, n: int) -> Numbers:
    """1% of the prompts are refused for good: rows that were lost beside those."""
    done, counted = ran(name, Job(n), "--refuse", "0.01")
    rows, rejects = done.result.get("ok", done.result.get("rows", 0)), done.result.get("rejects", {})
    num_refused = counted["distinct"] - counted["distinct_ok"]
    return {
        "refused": num_refused,
        "rejects": sum(rejects.values()),
        "lost": n - rows - num_refused,
        "died": float(done.code != 0),
    }


def stumbled(name: str, n: int) -> float:
    """30% of the prompts get a 500 on their first try: the time, over that of a run without faults."""
    plain, _ = ran(name, Job(n))
    done, _ = ran(name, Job(n, more=LAX), "--stumble", "0.3")
    return done.run_s / plain.run_s if done.code == 0 else float("nan")


def capped(name: str, n: int, cap: int = 200) -> Numbers:
    """A server that takes `cap` requests a second and answers 429 beyond: the share of the cap that was used."""
    done, counted = ran(name, Job(n, more=f"{LAX}\n{NO_CANARY}"), "--cap", str(cap))
    rows = done.result.get("ok", done.result.get("rows", 0))
    return {"share": counted["ok"] / counted["seconds"] / cap, "rows": float(rows), "died": float(done.code != 0)}


def memory(sizes: Sequence[int]) -> list[tuple[int, float]]:
    """Peak memory in MB at each size, against a server that answers at once."""
    return [(n, ran(OURS, Job(n), "--latency-ms", "0")[0].peak_mb) for n in sizes]


def many_tasks(n: int, per_task: int) -> float:
    """The pace with tasks of `per_task` records over that with one task."""
    large, _ = ran(OURS, Job(n, flow=f"records_per_task = {n}"))
    small, _ = ran(OURS, Job(n, flow=f"records_per_task = {per_task}"))
    return large.run_s / small.run_s
