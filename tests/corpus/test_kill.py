"""A writer killed at any moment leaves whole commits, or garbage that no reader sees."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import corpus
from corpus.audit import verify
from corpus.entries import read_entries
from corpus.snapshot import take_snapshot
from schemas.task import Task
from tests.support.corpora import commit, missing
from tests.support.samples import make_reject, make_samples, make_task

WORKER = """
import sys
from pathlib import Path
from tests.corpus.test_kill import finish, plan
print("ready", flush=True)
finish(Path(sys.argv[1]), plan(int(sys.argv[2])))
"""


def plan(num_tasks: int) -> list[Task]:
    return [make_task(5 * i, 5 * i + 5) for i in range(num_tasks)]


def finish(root: Path, tasks: list[Task]) -> str:
    """Run what is missing, with a snapshot after every third task; the corpus hash."""
    for number, task in enumerate(missing(read_entries(root), tasks)):
        samples = make_samples(task.start, task.stop, image_size=24)
        commit(root, task, samples, [make_reject(task.start)])
        if number % 3 == 2:
            take_snapshot(root, tasks)
    return take_snapshot(root, tasks).corpus_sha256


def num_commits(root: Path) -> int:
    return sum(1 for _ in root.glob("commits/*/*.json"))


def kill_one(root: Path, num_tasks: int, more: int, seconds: float) -> None:
    """Start a worker; once it has made `more` commits, kill it `seconds` later."""
    wanted = num_commits(root) + more
    command = [sys.executable, "-c", WORKER, str(root), str(num_tasks)]
    worker = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    while num_commits(root) < wanted and worker.poll() is None:
        time.sleep(0.001)
    time.sleep(seconds)
    worker.kill()
    worker.stdout.close()
    worker.wait()


def check_kills(tmp_path: Path, num_kills: int, num_tasks: int) -> None:
    tasks, rng = plan(num_tasks), random.Random(num_kills)
    calm, root = tmp_path / "calm", tmp_path / "killed"
    expected = finish(calm, tasks)
    found: set[int] = set()
    for _ in range(num_kills):
        kill_one(root, num_tasks, more=rng.randint(0, 2), seconds=rng.uniform(0.0, 0.05))
        found.add(len(read_entries(root)))
        if (root / "manifest" / "LATEST").exists():
            report = verify(root)
            assert report.ok, report.problems
            assert sum(1 for _ in corpus.open(root)) == report.num_rows
    assert found & set(range(1, num_tasks)), "no kill fell between two commits"
    assert finish(root, tasks) == expected
    assert verify(root).ok
    assert list(corpus.open(root).to_pandas().id) == list(corpus.open(calm).to_pandas().id)


def test_kill_9_at_random_moments_then_finishing_gives_the_undisturbed_corpus(tmp_path: Path) -> None:
    check_kills(tmp_path, num_kills=6, num_tasks=24)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_at_forty_random_moments_gives_the_undisturbed_corpus(tmp_path: Path) -> None:
    check_kills(tmp_path, num_kills=40, num_tasks=100)
