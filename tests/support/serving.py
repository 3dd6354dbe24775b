"""The test endpoint as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.pipelines import ROOT


@contextmanager
def serve(log: Path, *options: str, kind: str = "endpoint") -> Iterator[str]:
    """Serve until the block ends; the base URL. `kind` is "endpoint" or "faulty"."""
    command = [sys.executable, "-m", f"tests.support.{kind}", "--port", "0", "--log", str(log), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
