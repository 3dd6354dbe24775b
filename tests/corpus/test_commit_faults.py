"""A disk that is full or read-only, and a worker that dies at any system call: nothing half, nothing lost."""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import corpus
from corpus.audit.verify import verify
from corpus.changing.taking import take_snapshot
from corpus.commit.entries import read_entries
from corpus.manifest.snapshot import list_snapshots
from schemas.errors import CorpusError
from tests.support.corpora import commit, missing
from tests.support.dying import Call, run_until
from tests.support.pipelines import ROOT
from tests.support.samples import make_reject, make_samples, make_task

TASKS = [make_task(0, 4), make_task(4, 8)]


def finish(root: Path) -> str:
    """Commit what is missing of two tasks and take a snapshot; the corpus hash."""
    for task in missing(read_entries(root), TASKS):
        samples = make_samples(task.start, task.stop, modality="CT", split="train")
        commit(root, task, samples, [make_reject(task.start)])
    return take_snapshot(root, TASKS).corpus_sha256


def check_whole(root: Path) -> None:
    """Whatever happened: what an entry or a snapshot names is there, whole."""
    for entry in read_entries(root).values():
        for file in (*entry.files, entry.rejects):
            assert file is not None and (root / file.path).stat().st_size == file.bytes
    for name in list_snapshots(root):
        report = verify(root, name)
        assert report.ok, report.problems
    if (root / "manifest" / "LATEST").exists():
        assert len(corpus.open(root)) == verify(root).num_rows


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The corpus hash of an undisturbed worker."""
    return finish(tmp_path_factory.mktemp("calm"))


def check_death(root: Path, num: int, expected: str) -> None:
    run_until(lambda: finish(root), root, num)
    check_whole(root)
    assert finish(root) == expected
    check_whole(root)


def test_a_worker_that_dies_at_any_system_call_loses_nothing(tmp_path: Path, expected: str) -> None:
    num_calls = len(run_until(lambda: finish(tmp_path / "all"), tmp_path / "all"))
    assert num_calls > 100
    for num in sorted(random.Random(4).sample(range(num_calls), 10)):
        check_death(tmp_path / str(num), num, expected)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_that_dies_at_each_of_its_system_calls_loses_nothing(tmp_path: Path, expected: str) -> None:
    num_calls = len(run_until(lambda: finish(tmp_path / "all"), tmp_path / "all"))
    for num in range(num_calls):
        check_death(tmp_path / str(num), num, expected)


def test_a_worker_that_dies_again_and_again_comes_to_its_end(tmp_path: Path, expected: str) -> None:
    num_deaths = 0
    while True:
        made = run_until(lambda: finish(tmp_path / "corpus"), tmp_path / "corpus", 45)
        check_whole(tmp_path / "corpus")
        if len(made) < 45:
            break
        num_deaths += 1
    assert num_deaths >= 2
    assert finish(tmp_path / "corpus") == expected


def test_a_power_cut_finds_every_name_on_durable_bytes(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    calls = run_until(lambda: finish(root), root)
    published = [at for at, call in enumerate(calls) if call.name in ("rename", "link") and _is_final(call, root)]
    assert len(published) >= 10
    for at in published:
        staged, final = calls[at].paths
        before = [call.name for call in calls[:at] if call.paths == (staged,)]
        assert before[-1] == "fsync", f"{final} may be empty after a power cut"
        folder = Call("fsync", (str(Path(final).parent),))
        following = calls[at + 1 :]
        names = [call for call in following if call.name in ("rename", "link") and _is_final(call, root)]
        until = following.index(names[0]) if names else len(following)
        assert folder in following[:until], f"a later name may outlive {final}"


def _is_final(call: Call, root: Path) -> bool:
    return not Path(call.paths[1]).is_relative_to(root / "staging")


MOUNT = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
"""What runs a command with mounts of its own, which go with it."""

needs_mounts = pytest.mark.skipif(
    subprocess.run([*MOUNT, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode != 0,
    reason="this machine does not let a test mount a disk of its own",
)


def with_a_disk(scenario: str, folder: Path, expected: str) -> None:
    """Run a function of this module in a process that may mount on `folder`."""
    code = f"from tests.corpus.test_commit_faults import *; {scenario}(Path({str(folder)!r}), {expected!r})"
    done = subprocess.run([*MOUNT, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


def refusal(root: Path) -> str:
    """The error of a worker that is refused; empty where it came to its end."""
    try:
        finish(root)
    except CorpusError as error:
        return str(error)
    return ""


def fill_disks(folder: Path, expected: str) -> None:
    """Disks of every size up to one that holds the corpus, each then made larger."""
    num_full, pages = 0, 1
    while True:
        disk = folder / str(pages)
        disk.mkdir()
        mount(disk, f"size={4 * pages}k")
        said = refusal(disk / "corpus")
        check_whole(disk / "corpus")
        if not said:
            break
        assert said.startswith(f"cannot write to the corpus at {disk}/corpus: ") and said.count("\n") == 0
        assert "the disk is full; free some space and run again (what is committed is kept)" in said
        mount(disk, "remount,size=64m")
        assert finish(disk / "corpus") == expected
        check_whole(disk / "corpus")
        num_full, pages = num_full + 1, pages + 3
    assert num_full >= 5


@needs_mounts
def test_a_disk_that_fills_up_at_any_moment_loses_nothing(tmp_path: Path, expected: str) -> None:
    with_a_disk("fill_disks", tmp_path, expected)


def turn_read_only(folder: Path, expected: str) -> None:
    """A disk that turns read-only between two tasks, and back."""
    mount(folder, "size=64m")
    commit(folder, TASKS[0], make_samples(0, 4, modality="CT", split="train"), [make_reject(0)])
    take_snapshot(folder, TASKS)
    mount(folder, "remount,ro")
    said = refusal(folder)
    assert "the disk is mounted read-only; mount it writable, or choose another corpus folder" in said, said
    assert take_snapshot(folder, TASKS).name == "v000001"
    assert len(corpus.open(folder)) == 4
    check_whole(folder)
    mount(folder, "remount,rw")
    assert finish(folder) == expected
    check_whole(folder)


@needs_mounts
def test_a_disk_that_turns_read_only_is_named_and_still_read(tmp_path: Path, expected: str) -> None:
    with_a_disk("turn_read_only", tmp_path, expected)


def test_a_folder_of_somebody_else_is_a_plain_error() -> None:
    with tempfile.TemporaryDirectory() as name:  # one that another user can reach: pytest's own folders are private
        Path(name).chmod(0o555)
        child = os.fork()
        if child == 0:
            if os.geteuid() == 0:
                os.setuid(65534)  # nobody
            said = refusal(Path(name) / "corpus")
            os._exit(0 if "this user may not write there; give it the right to" in said else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert not (Path(name) / "corpus").exists()
