"""`kill -9` at random moments: nothing lost, nothing doubled, nothing answered is asked again."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpus.audit import verify
from corpus.snapshot import read_snapshot
from tests.support.kept import asked, kept_requests
from tests.support.pipelines import ROOT, calabash, start, write_pipeline


@dataclass
class Site:
    """A corpus of its own beside an endpoint that counts."""

    folder: Path
    url: str
    log: Path
    process: subprocess.Popen[str]

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def config(self) -> str:
        return str(self.folder / "pipeline.toml")


def _site(folder: Path, **sizes: int) -> Site:
    log = folder / "endpoint.log"
    command = [sys.executable, "-m", "tests.support.endpoint", "--port", "0", "--log", str(log), "--latency-ms", "30"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    write_pipeline(folder, url, **sizes)
    return Site(folder, url, log, process)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Two sites: one to leave in peace, one to kill."""
    made = []
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        made.append(_site(tmp_path / name, samples=6, records_per_task=2))
    yield made
    for site in made:
        site.process.kill()
        site.process.wait()


def _kill_and_rerun(sites: list[Site], seed: int, num_kills: int, *options: str) -> None:
    undisturbed, killed = sites
    began = time.monotonic()
    calabash("run", "--all", *options, "-c", undisturbed.config, check=True)
    duration = time.monotonic() - began
    moments = random.Random(seed)
    repaid = 0
    for _ in range(num_kills):
        kept, before = kept_requests(killed.corpus), asked(killed.log)
        run = start("run", "--all", *options, "-c", killed.config)
        time.sleep(moments.uniform(0.2, duration))
        run.send_signal(signal.SIGKILL)
        run.wait()
        repaid += sum((asked(killed.log) - before)[request] for request in kept)
        if (killed.corpus / "manifest" / "LATEST").exists():
            assert verify(killed.corpus).problems == ()
    kept, before = kept_requests(killed.corpus), asked(killed.log)
    calabash("run", "--all", *options, "-c", killed.config, check=True)
    repaid += sum((asked(killed.log) - before)[request] for request in kept)
    _assert_equal(undisturbed, killed)
    assert repaid == 0


def _assert_equal(undisturbed: Site, killed: Site) -> None:
    report = verify(killed.corpus)
    assert report.ok, report.problems
    ours, theirs = (read_snapshot(site.corpus) for site in (undisturbed, killed))
    assert theirs.num_rows == ours.num_rows > 0
    assert theirs.corpus_sha256 == ours.corpus_sha256
    # verify has compared every tally with its rows, and no id comes twice; no record may be missing either
    ins = [
        sum(tally.num_in for entry in snapshot.read_entries() for tally in entry.tallies) for snapshot in (ours, theirs)
    ]
    assert ins[0] == ins[1] > 0
    again = calabash("run", "--all", "--json", "-c", killed.config, check=True)
    assert json.loads(again.stdout)["snapshot"] == theirs.name


@pytest.mark.parametrize("seed", [1, 2])
def test_five_kills_in_a_row_leave_the_corpus_of_an_undisturbed_run(sites: list[Site], seed: int) -> None:
    _kill_and_rerun(sites, seed, 5, "--no-server")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(20))
def test_one_kill_at_any_moment_leaves_the_corpus_of_an_undisturbed_run(sites: list[Site], seed: int) -> None:
    _kill_and_rerun(sites, 100 + seed, 1, "--no-server")


@pytest.mark.timeout(600)
def test_a_kill_through_prefect_leaves_the_corpus_of_an_undisturbed_run(sites: list[Site]) -> None:
    # Prefect's own server dies with the run; the commit entries, not its database, say what is done
    _kill_and_rerun(sites, 7, 1)
