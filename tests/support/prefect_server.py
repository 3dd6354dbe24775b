"""A Prefect server as a user starts one, what it tells over its REST API, and what its database holds."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.prefect_env import SETTINGS
from tests.support.pipelines import ROOT


@dataclass
class PrefectServer:
    """The process of `prefect server start`; it is of use once `wait` has returned."""

    url: str
    process: subprocess.Popen[bytes]

    def wait(self, seconds: float = 120.0) -> "PrefectServer":
        """Return when the server is healthy."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=10):
                    return self
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.2)
        raise TimeoutError(f"{self.url} is not healthy after {seconds} s")

    def post(self, path: str, **body: Any) -> Any:
        """What the API answers to a POST."""
        request = urllib.request.Request(
            f"{self.url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def flow_runs(self, config: str) -> list[dict[str, Any]]:
        """The flow runs whose parameters name this pipeline.toml, oldest first."""
        runs = self.post("flow_runs/filter", sort="EXPECTED_START_TIME_ASC")
        return [run for run in runs if run["parameters"]["params"]["config"] == config]

    def ended_task_runs(self, flow_run: dict[str, Any], num: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The task runs of a flow run, at least `num`, once all have ended; the server writes them in batches."""
        until = time.monotonic() + seconds
        while True:
            tasks = self.post("task_runs/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
            if len(tasks) >= num and not {task["state_type"] for task in tasks} & {"PENDING", "RUNNING"}:
                return tasks
            assert time.monotonic() < until, [(task["name"], task["state_type"]) for task in tasks]
            time.sleep(0.3)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def prefect_server(home: Path) -> Iterator[PrefectServer]:
    """A server of its own, under way: starting takes about as long as a small run."""
    port = free_port()
    variables = {**SETTINGS, "PREFECT_HOME": str(home), "PREFECT_SERVER_API_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start"],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield PrefectServer(f"http://127.0.0.1:{port}/api", process)
    finally:
        process.terminate()
        process.wait(30)


def rows(home: Path, query: str) -> list[dict[str, Any]]:
    """Rows of the database below a PREFECT_HOME, opened for reading only."""
    with closing(sqlite3.connect(f"file:{home}/prefect.db?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


def processes_of(word: str) -> list[str]:
    """The command lines of running processes that have `word` in their environment."""
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is another user's
    return found
