"""Writers killed at any moment, four at once on one plan, leave whole commits, or garbage that no reader sees."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

import corpus
from corpus.audit.verify import verify
from corpus.changing.gc import collect
from corpus.changing.taking import take_snapshot
from corpus.commit.entries import read_entries
from schemas.task import Task
from tests.support.corpora import commit, missing
from tests.support.samples import make_reject, make_samples, make_task

NUM_WRITERS = 4
ALL_EVERY = 5
"""Every so many kills all writers die; then what they left is aged by a day, so that the next gc takes it."""
TASKS_PER_KILL = 2
"""How far the plan grows at every kill: it is never done before the kills are."""
DAY_S = 86_400.0
OLD_S = 3_600.0
Horizon = Any
"""A shared number of planned tasks, below 0 at the end; without a lock, which a killed writer would keep."""


def plan(num_tasks: int) -> list[Task]:
    return [make_task(3 * i, 3 * i + 3) for i in range(num_tasks)]


def run(root: Path, task: Task) -> None:
    samples = make_samples(task.start, task.stop, image_size=24)
    commit(root, task, samples, [make_reject(task.start)])


def write(root: Path, horizon: Horizon, number: int, seed: float) -> None:
    """One writer's life: race for what is missing up to the horizon, take snapshots; writer 0 also collects garbage."""
    rng = random.Random(seed)
    while (num_tasks := horizon.value) >= 0:
        left = missing(read_entries(root), plan(num_tasks))
        if not left:
            time.sleep(0.001)
            continue
        run(root, rng.choice(left[:NUM_WRITERS]))
        if rng.random() < 0.3:
            take_snapshot(root, plan(num_tasks))
        if number == 0 and rng.random() < 0.5:
            collect(root, older_than_s=OLD_S)


class Writers:
    """Four writers of one corpus, each started again when it is killed."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root, self._rng = root, rng
        # a fork of this process, with its threads, may hang; a spawned one would start for half a second
        self._server = multiprocessing.get_context("forkserver")
        self._server.set_forkserver_preload([__name__])
        self.horizon: Horizon = self._server.RawValue("i", TASKS_PER_KILL)
        self.processes: list[BaseProcess] = [self._start(number) for number in range(NUM_WRITERS)]

    def _start(self, number: int) -> BaseProcess:
        target = self._server.Process(target=write, args=(self.root, self.horizon, number, self._rng.random()))
        target.start()
        return target

    def kill(self, number: int) -> None:
        """Kill one with SIGKILL; one that ended before must have ended well."""
        process = self.processes[number]
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)

    def restart(self, numbers: list[int]) -> None:
        for number in numbers:
            self.processes[number] = self._start(number)

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody writes meanwhile; each stands wherever it happens to be."""
        alive = [process for process in self.processes if process.is_alive()]
        for process in alive:
            os.kill(process.pid or 0, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in alive:
                os.kill(process.pid or 0, signal.SIGCONT)


def num_commits(root: Path) -> int:
    return sum(1 for _ in root.glob("commits/*/*.json"))


def age(root: Path) -> None:
    """Make everything a day older: nobody is writing."""
    before = time.time() - DAY_S
    for path in root.rglob("*"):
        os.utime(path, (before, before))


def sound(root: Path) -> tuple[int, str]:
    """What a reader sees, which must be whole: how many files nothing names, and a line for the log."""
    if not (root / "manifest" / "LATEST").exists():
        return 0, f"{num_commits(root):4} commits, no snapshot yet"
    report = verify(root)
    assert report.ok, report.problems
    assert sum(batch.num_rows for batch in corpus.open(root).batches()) == report.num_rows
    num_files = report.unnamed.num_files
    what = f"{report.snapshot} with {report.num_rows:4} rows sound, {num_files:3} files named by nothing"
    return num_files, f"{num_commits(root):4} commits, {what}"


def kill_often(writers: Writers, num_kills: int, rng: random.Random) -> None:
    """Kill a writer (at times all) after some more commits and a moment; what is there then is sound."""
    root, start, num_torn = writers.root, time.monotonic(), 0
    for kill in range(1, num_kills + 1):
        wanted = num_commits(root) + rng.randint(0, TASKS_PER_KILL - 1)
        writers.horizon.value = TASKS_PER_KILL * kill
        while num_commits(root) < wanted:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.03))
        dying = list(range(NUM_WRITERS)) if kill % ALL_EVERY == 0 else [rng.randrange(NUM_WRITERS)]
        for number in dying:
            writers.kill(number)
        with writers.paused():
            num_files, found = sound(root)
            who = "all writers" if len(dying) == NUM_WRITERS else f"writer {dying[0]}   "
            print(f"{time.monotonic() - start:7.2f} s  kill {kill:3} of {who}: {found}")
            num_torn += num_files > 0
        if len(dying) == NUM_WRITERS:
            age(root)
        writers.restart(dying)
    assert num_torn > num_kills / 4, f"only {num_torn} of {num_kills} kills met unfinished work"


def check_kills(tmp_path: Path, num_kills: int) -> None:
    rng, tasks = random.Random(num_kills), plan(TASKS_PER_KILL * num_kills)
    calm, root = tmp_path / "calm", tmp_path / "killed"
    for task in tasks:
        run(calm, task)
    expected = take_snapshot(calm, tasks).corpus_sha256
    with Writers(root, rng) as writers:
        kill_often(writers, num_kills, rng)
        while num_commits(root) < len(tasks):
            time.sleep(0.01)
            assert all(process.is_alive() for process in writers.processes)
        writers.horizon.value = -1
        for process in writers.processes:
            process.join()
            assert process.exitcode == 0
    assert take_snapshot(root, tasks).corpus_sha256 == expected
    print(f"all writers ended: {sound(root)[1]}; the corpus hash is the undisturbed one's, {expected[:16]}")
    collect(root, older_than_s=0)
    report = verify(root)
    assert report.ok and report.unnamed.num_files == 0
    assert corpus.open(root).to_arrow().equals(corpus.open(calm).to_arrow())


def test_twenty_kills_of_four_racing_writers_leave_the_undisturbed_corpus(tmp_path: Path) -> None:
    check_kills(tmp_path, num_kills=20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_of_four_racing_writers_leave_the_undisturbed_corpus(tmp_path: Path) -> None:
    check_kills(tmp_path, num_kills=200)
