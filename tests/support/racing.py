"""A worker on a corpus anywhere, in a process that imports little: `-m tests.support.racing WHERE WHAT NUMBER`."""

import subprocess
import sys

from corpus.changing.taking import take_snapshot
from corpus.commit.entries import read_entries
from corpus.store.writing import store_of
from schemas.task import Task
from tests.support.corpora import commit, missing
from tests.support.pipelines import ROOT
from tests.support.samples import make_reject, make_sample, make_samples, make_task


def plan(num_tasks: int) -> list[Task]:
    """Tasks of five records."""
    return [make_task(5 * i, 5 * i + 5) for i in range(num_tasks)]


def finish(where: str, num_tasks: int) -> str:
    """Run what is missing, with a snapshot after every third task; the corpus hash."""
    store, tasks = store_of(where), plan(num_tasks)
    for number, task in enumerate(missing(read_entries(store), tasks)):
        samples = make_samples(task.start, task.stop, image_size=24)
        commit(store, task, samples, [make_reject(task.start)])  # type: ignore[arg-type]
        if number % 3 == 2:
            take_snapshot(store, tasks)
    return take_snapshot(store, tasks).corpus_sha256


def race(where: str, number: int) -> None:
    """Commit each of six tasks, done or not, with replies of one's own; a snapshot after each."""
    store, tasks = store_of(where), plan(6)
    for task in tasks:
        samples = [make_sample(i, text=f"Reply of worker {number}.") for i in range(task.start, task.stop)]
        commit(store, task, samples)  # type: ignore[arg-type]
        take_snapshot(store, tasks)


def start(where: str, what: str, number: int) -> "subprocess.Popen[str]":
    """A worker that does `what` ("finish" or "race"), as soon as it says so."""
    command = [sys.executable, "-m", "tests.support.racing", where, what, str(number)]
    worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    return worker


if __name__ == "__main__":
    print("ready", flush=True)
    {"finish": finish, "race": race}[sys.argv[2]](sys.argv[1], int(sys.argv[3]))
