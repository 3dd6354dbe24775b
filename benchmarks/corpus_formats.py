"""The systems that store and read the same rows, each measured in a process of its own, in turn, several times."""

import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import HERE, PEERS, run

TIMEOUT_S: Final = 600.0
OURS_READ: Final = ("-m", "benchmarks.corpus_ours_read")
OURS_WRITE: Final = ("-m", "benchmarks.corpus_ours")


@dataclass(frozen=True, slots=True)
class System:
    """A format with a way to read it. `env` is its environment below .peers ("": ours), `data` whose files it reads."""

    name: str
    env: str
    command: tuple[str, ...]
    data: str

    @property
    def is_installed(self) -> bool:
        """Whether `make peers` made its environment here."""
        return not self.env or (PEERS / self.env / ".done").exists()


def _peer(name: str, env: str, script: str, data: str = "") -> System:
    return System(name, env, (str(HERE / "peers" / env / f"{script}.py"),), data or script)


def _own(name: str, *options: str, env: str = "") -> System:
    return System(name, env, (*OURS_READ, *options), "ours")


OURS: Final = _own("calabash")
FIRST: Final = _own("calabash, first touch", "--variant", "first")
MMAP: Final = _own("bare mmap, same values", "--variant", "mmap")
LEAN: Final = _own("bare mmap, 3 fields", "--variant", "lean")
FEED: Final = _own("calabash", env="readers")
FEED_FIRST: Final = _own("calabash, first touch", "--variant", "first", env="readers")
VIEW: Final = _own("calabash's view", "--variant", "view", env="readers")
WRITER: Final = System("calabash", "", OURS_WRITE, "ours")
BARE_WRITER: Final = System("pyarrow, same hashes", "", (*OURS_WRITE, "--variant", "bare"), "bare")
XXH_WRITER: Final = System("pyarrow, xxh3 only", "", (*OURS_WRITE, "--variant", "bare-xxh3"), "bare-xxh3")

HF: Final = _peer("datasets, map-style", "readers", "hf")
STREAM: Final = _peer("datasets, streaming", "readers", "hf_stream", "hf")
LITDATA: Final = _peer("litdata", "readers", "lit")
MDS: Final = _peer("mds", "mds", "mds")
WEBDATASET: Final = _peer("webdataset", "readers", "wds")
LANCE: Final = _peer("lance", "readers", "lance_rows")
PARQUET: Final = _peer("parquet", "readers", "parquet")


def measure(system: System, what: str, rows: Path, data: Path, *options: str) -> dict[str, Any]:
    """One measure: what the process reported, and its largest anonymous memory in MB.

    Raises RuntimeError, with what it said, where it failed: a wrong checksum is such a failure.
    """
    python = str(PEERS / system.env / "bin" / "python") if system.env else sys.executable
    folder = data / "said"
    folder.mkdir(parents=True, exist_ok=True)
    place = data / system.data
    if what == "write":
        shutil.rmtree(place, ignore_errors=True)
    command = [python, *system.command, what, "--rows", str(rows), "--data", str(place), *options]
    memory = Memory()
    done = run(command, folder, TIMEOUT_S, memory.look, HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(data / "cache"))
    if done.code or not done.result:
        raise RuntimeError(f"{system.name} failed to {what}:\n{done.said[-2000:]}")
    return {**done.result, "anon_mb": memory.peak_mb, "peak_mb": done.peak_mb}


class Memory:
    """The largest anonymous memory (RssAnon) that one process below this one had, looked at 50 times a second."""

    def __init__(self) -> None:
        self.peak_mb = 0.0

    def look(self) -> bool:
        """Look; False, as nothing has to be killed."""
        for pid in _below("self"):
            try:
                status = Path("/proc", pid, "status").read_text()
            except OSError:
                continue
            anon = next((line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")), "0")
            self.peak_mb = max(self.peak_mb, int(anon) / 1024)
        return False


def _below(pid: str) -> list[str]:
    """The processes below one, its own children first."""
    found: list[str] = []
    try:
        for task in Path("/proc", pid, "task").iterdir():
            for child in (task / "children").read_text().split():
                found += [child, *_below(child)]
    except OSError:
        pass  # it ended meanwhile
    return found


def in_turn(
    systems: Sequence[System], what: str, rows: Path, data: Path, times: int, *options: str
) -> dict[System, list[dict[str, Any]]]:
    """Every system that is here measured so many times, one after the other, every second round backwards."""
    present = [system for system in systems if system.is_installed]
    found: dict[System, list[dict[str, Any]]] = {system: [] for system in present}
    for turn in range(times):
        for system in present if turn % 2 == 0 else reversed(present):
            found[system].append(measure(system, what, rows, data, *options))
    return found


def median(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    """The median of one figure over repetitions."""
    return statistics.median(float(one[key]) for one in runs)


def ratio(
    found: Mapping[System, Sequence[Mapping[str, Any]]], one: System, other: System, key: str = "cpu_s"
) -> float | None:
    """The median over rounds of one system's figure over another's of the same round; None where one is absent."""
    if one not in found or other not in found:
        return None
    return statistics.median(a[key] / b[key] for a, b in zip(found[one], found[other], strict=True))
