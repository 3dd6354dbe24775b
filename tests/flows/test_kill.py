"""`kill -9` at random moments: nothing lost, nothing doubled, nothing answered is asked again."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.audit.verify import verify
from corpus.manifest.snapshot import Snapshot, read_snapshot
from tests.support.prefect_server import processes_of
from tests.support.sites import Site, site


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Site]:
    """A site to kill, as large as the undisturbed one."""
    with site(tmp_path / "killed") as one:
        yield one


def _kill(killed: Site, *arguments: str, num_answers: int, delay: float) -> bool:
    with killed.nothing_is_asked_again():
        landed = killed.run_and_kill(*arguments, num_answers=num_answers, delay=delay)
    if (killed.corpus / "manifest" / "LATEST").exists():
        assert verify(killed.corpus).problems == ()
    return landed


def _shards(root: Path, snapshot: Snapshot) -> dict[str, bytes]:
    return {file.path: (root / file.path).read_bytes() for entry in snapshot.read_entries() for file in entry.files}


def _rerun_and_compare(undisturbed: Site, killed: Site, *arguments: str) -> None:
    with killed.nothing_is_asked_again():
        killed.run(*arguments)
    report = verify(killed.corpus)
    assert report.ok, report.problems
    ours, theirs = (read_snapshot(one.corpus) for one in (undisturbed, killed))
    assert theirs.num_rows == ours.num_rows > 0
    assert theirs.corpus_sha256 == ours.corpus_sha256
    # the replies are identical, so the shards are too, byte for byte
    assert _shards(killed.corpus, theirs) == _shards(undisturbed.corpus, ours)
    # verify has compared every tally with its rows, and no id comes twice; no record may be missing either
    ins = [
        sum(tally.num_in for entry in snapshot.read_entries() for tally in entry.tallies) for snapshot in (ours, theirs)
    ]
    assert ins[0] == ins[1] > 0
    assert json.loads(killed.run(*arguments, "--json"))["snapshot"] == theirs.name


def test_eight_kills_in_a_row_leave_the_corpus_of_an_undisturbed_run(undisturbed: Site, killed: Site) -> None:
    moments = random.Random(1)
    for num_answers in [0, *(moments.randint(1, 6) for _ in range(7))]:
        # without an answer to wait for, somewhere in the start-up
        delay = moments.uniform(0.0, 0.15) if num_answers else moments.uniform(0.2, 2.0)
        assert _kill(killed, "--all", "--no-server", num_answers=num_answers, delay=delay)
    assert list(killed.corpus.glob("commits/**/*.json"))
    _rerun_and_compare(undisturbed, killed, "--all", "--no-server")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(20))
def test_one_kill_at_any_moment_leaves_the_corpus_of_an_undisturbed_run(
    undisturbed: Site, killed: Site, seed: int
) -> None:
    moment = random.Random(100 + seed).uniform(0.2, undisturbed.seconds)
    _kill(killed, "--all", "--no-server", num_answers=0, delay=moment)
    _rerun_and_compare(undisturbed, killed, "--all", "--no-server")


@pytest.mark.timeout(600)
def test_a_kill_through_prefect_leaves_the_corpus_of_an_undisturbed_run(tmp_path: Path) -> None:
    flow, home = "captioning", str(tmp_path / "prefect")
    with site(tmp_path / "undisturbed", samples=2, records_per_task=1) as undisturbed:
        undisturbed.run(flow, "--no-server")
    with site(tmp_path / "killed", samples=2, records_per_task=1, PREFECT_HOME=home) as killed:
        assert _kill(killed, flow, num_answers=1, delay=0.0)
        # Prefect's own server ends with the run; the commit entries, not its database, say what is done
        until = time.monotonic() + 30
        while processes_of(f"PREFECT_HOME={home}"):
            assert time.monotonic() < until, "a server outlives its run"
            time.sleep(0.1)
        _rerun_and_compare(undisturbed, killed, flow)
