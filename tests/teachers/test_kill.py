import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teachers.replay.log import ReplyLog

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def endpoint(log: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.support.endpoint", "--log", str(log), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def asker(url: str, root: Path, num: int, in_flight: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.asker", url, str(root), str(num), str(in_flight)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill_when(process: subprocess.Popen[str], log: Path, num_answered: int, settle_s: float) -> None:
    """SIGKILL the asker once the server has answered so many; then let what it had sent be answered."""
    deadline = time.monotonic() + 60
    while len(answered(log)) < num_answered and time.monotonic() < deadline:
        time.sleep(0.002)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(settle_s)


def answered(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def num_kept(root: Path) -> int:
    with ReplyLog(root, "s", "0") as replies:
        return len(replies)


def check_nothing_repaid(folder: Path, num: int, in_flight: int, latency_ms: int, moments: list[int]) -> None:
    """Kill at each moment (so many answered by then), then finish: no kept reply is asked for again."""
    log, root = folder / "server.log", folder / "corpus"
    with endpoint(log, "--latency-ms", str(latency_ms)) as url:
        for num_kills, moment in enumerate(moments, 1):
            num_kept_before, num_paid_before = num_kept(root), len(answered(log))
            kill_when(asker(url, root, num, in_flight), log, moment, 0.3 + latency_ms / 500)
            paid, kept = answered(log), num_kept(root)
            assert len(paid) - num_paid_before <= num - num_kept_before
            assert moment - num_kills * in_flight <= kept <= len(set(paid)) <= kept + num_kills * in_flight
        out, _ = asker(url, root, num, in_flight).communicate(timeout=120)
        asked_again = answered(log)[len(paid) :]
    ended = json.loads(out)
    assert ended["num_texts"] == ended["num_requests"] == num
    assert ended["num_replayed"] == kept
    assert len(asked_again) == len(set(asked_again)) == num - kept
    assert len(set(asked_again) & set(paid)) == len(set(paid)) - kept
    assert len({*paid, *asked_again}) == num


def test_after_kill_nine_no_kept_reply_is_paid_again(tmp_path: Path) -> None:
    check_nothing_repaid(tmp_path, num=200, in_flight=16, latency_ms=50, moments=[100])


@pytest.mark.parametrize("seed", [1, 2])
def test_after_kills_at_random_moments_too(tmp_path: Path, seed: int) -> None:
    moments = sorted(random.Random(seed).sample(range(5, 140), 2))
    check_nothing_repaid(tmp_path, num=200, in_flight=16, latency_ms=50, moments=moments)


@pytest.mark.slow
def test_after_kill_nine_at_half_of_4000_with_256_in_flight(tmp_path: Path) -> None:
    check_nothing_repaid(tmp_path, num=4_000, in_flight=256, latency_ms=200, moments=[2_000])
