"""The real servers that the contract of tests/teachers/test_real_servers.py is held against."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.pipeline import Teacher
from teachers.serving.command import command_and_url
from tests.support.pipelines import ROOT

VLLM = ROOT / ".peers/vllm/bin/python"
MODEL = ROOT / ".peers/models/smollm2"

LLAMA_COMMAND = f"{sys.executable} -m tests.support.llama_server --port {{port}}"

VLLM_COMMAND = (
    "env HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1 "
    f"{VLLM} -m vllm.entrypoints.openai.api_server --model {MODEL} --served-model-name smollm2 --host 127.0.0.1 "
    "--port {port} --max-model-len 2048 --max-num-seqs 16 --dtype bfloat16 --enforce-eager"
)
"""`vllm serve` looks for a package of that name, and the CPU build has another."""


@dataclass(frozen=True)
class Real:
    """A real server: `own` is the teacher whose server the run starts, `says` is in what is kept of its replies.

    Each line of its log with `answered` is a request that it has answered, as it says itself.
    """

    own: Teacher
    says: bytes
    answered: str = ""

    def num_answered(self, log: Path) -> int:
        """How many requests the server itself says that it has answered."""
        return log.read_text(errors="replace").count(self.answered) if log.exists() else 0


def at(url: str | tuple[str, ...], **changes: Any) -> Teacher:
    """The teacher that asks a real server that is up."""
    settings = {"model": "smollm2", "revision": "1", "locality": "loopback", "max_in_flight": 8, "canary": 0}
    return Teacher.model_validate({**settings, "base_url": url, **changes})


def _served(command: str) -> Teacher:
    return at((), serve=command)


EMBEDDED = Real(Teacher(model="embedded:smollm2", canary=0), b"llama.cpp")
LLAMA = Real(_served(LLAMA_COMMAND), b"llama.cpp", " total time = ")
VLLM_CPU = Real(_served(VLLM_COMMAND), b"vllm-0.", '"POST /v1/chat/completions HTTP/1.1" 200 OK')


class Standing:
    """A real server that stands by itself, as on another machine: nothing of ours restarts it."""

    def __init__(self, real: Real, folder: Path, name: str) -> None:
        self.real = real
        self.log = folder / f"{name}.log"
        words, self.url = command_and_url("t", real.own)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

    @property
    def num_answered(self) -> int:
        """How many requests it says that it has answered."""
        return self.real.num_answered(self.log)

    def wait(self, within_s: float = 600.0) -> None:
        """Return when it is ready."""
        deadline = time.monotonic() + within_s
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(self.url.removesuffix("v1") + "health", timeout=10):
                return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text(errors="replace")[-2_000:])

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it with all its processes at once, as a lost machine would."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        self._process.wait()
