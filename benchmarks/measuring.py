"""Running what is measured: servers and clients as processes of their own, and what each of them used."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
PEERS: Final = ROOT / ".peers"
HERE: Final = ROOT / "benchmarks"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The running server."""

    port: int

    def url(self, host: str = "127.0.0.1") -> str:
        """The base URL on one of its loopback addresses."""
        return f"http://{host}:{self.port}/v1"

    def stats(self) -> Mapping[str, Any]:
        """What it has counted since the last reset."""
        return self._get("stats")

    def reset(self) -> None:
        """Start counting again."""
        self._get("reset")

    def _get(self, path: str) -> Mapping[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=30) as answer:
            return json.load(answer)


@dataclass(frozen=True, slots=True)
class Run:
    """What one client process used. CPU counts the children that it waited for; memory is its largest process's.

    `written` is in bytes, as the block layer counts them (0 on a file system in memory).
    """

    code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    written: int
    result: Mapping[str, Any]
    said: str

    @property
    def run_s(self) -> float:
        """Seconds without imports, as the client itself measured them."""
        return float(self.result.get("run_s", self.wall_s))


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment; ours where there is none."""
    own = PEERS / name / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


@contextmanager
def endpoint(*options: str) -> Iterator[Endpoint]:
    """A server with these options, until the block ends."""
    command = [str(python_of("harness")), str(HERE / "endpoint.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Endpoint(int(process.stdout.readline()))
        finally:
            process.kill()


def run(
    command: Sequence[str], folder: Path, timeout_s: float, kill_when: Callable[[], bool] | None = None, **more: str
) -> Run:
    """Run a client in `folder`; it and its children are killed at the limit, or as soon as `kill_when()`."""
    log = folder / "said.txt"
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE / 'peers'}", "NO_PROXY": "127.0.0.1,127.0.0.2", **more}
    began = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > timeout_s or (kill_when is not None and kill_when()):
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it again
    said = log.read_text(errors="replace")
    results = [line[7:] for line in said.splitlines() if line.startswith("RESULT ")]
    return Run(
        process.returncode,
        time.monotonic() - began,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024,
        used.ru_oublock * 512,
        json.loads(results[-1]) if results else {},
        said,
    )
