"""The systems side by side: each is given the same cases and runs in a folder and a process of its own."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measuring import HERE, PEERS, Endpoint, Run, python_of, run
from benchmarks.site import make_site

OURS: Final = "calabash"
RAW: Final = "raw aiohttp"
NAMES: Final = ("curator", "datatrove", "datatrove-openai", "designer", "distilabel")
"""The peers; datatrove has a client of its own for 127.0.0.1 and takes openai's for any other address."""

TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a client is to do; `more`, `flow` and `options` are for Calabash alone (TOML lines, TOML lines, flags)."""

    n: int
    in_flight: int = 256
    images: Path | None = None
    more: str = ""
    flow: str = ""
    options: tuple[str, ...] = ()
    resume: bool = False


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="calabash-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def is_installed(name: str) -> bool:
    """Whether `make peers` made the peer's environment here."""
    return name in (OURS, RAW) or (PEERS / name.split("-")[0] / "bin" / "python").exists()


def start(name: str, job: Job, server: Endpoint, where: Path, kill_when: Callable[[], bool] | None = None) -> Run:
    """Run one client to its end, or until it is killed."""
    if name == OURS:
        config = make_site(where, server.url(), job.n, job.in_flight, job.images, job.more, job.flow)
        command = [sys.executable, "-m", "benchmarks.ours", "--config", str(config), *job.options]
        return run(command, where, TIMEOUT_S, kill_when)
    package = "raw" if name == RAW else name.split("-")[0]
    url = server.url("127.0.0.2" if name.endswith("-openai") else "127.0.0.1")
    script = str(HERE / "peers" / package / "run.py")
    command = [str(python_of("harness" if name == RAW else package)), script, "--url", url, "--folder", str(where)]
    command += ["--n", str(job.n), "--in-flight", str(job.in_flight)]
    command += [*(("--images", str(job.images)) if job.images else ()), *(("--resume",) if job.resume else ())]
    return run(command, where, TIMEOUT_S, kill_when, HOME=str(where))
