"""A real run against two real servers behind one teacher, one of them killed midway: nothing lost, nothing re-paid."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from corpus.audit.verify import verify
from corpus.manifest.snapshot import read_snapshot
from flows.run_record import read_runs
from tests.support.pipelines import calabash, start
from tests.support.real_servers import LLAMA, VLLM, VLLM_CPU, Real, Standing

pytestmark = [pytest.mark.slow, pytest.mark.embedded, pytest.mark.timeout(1_800)]
NEEDS_VLLM = pytest.mark.skipif(not VLLM.exists(), reason="vLLM's CPU build is not in .peers/vllm: make vllm")
FLOW, NUM_RECORDS, IN_FLIGHT = "multilingual-reasoning", 16, 6
PIPELINE = f"""
corpus = "corpus"
seed = 7

[teachers.two]
base_url = {{urls}}
model = "smollm2"
revision = "135M"
locality = "loopback"
license = "Apache-2.0"
max_in_flight = {IN_FLIGHT}
canary = 0

[flows.{FLOW}]
teacher = "two"
sources = ["icd-10-cm"]
samples = {NUM_RECORDS}
records_per_task = 4
gates = {{{{ min_words = 5 }}}}

[flows.{FLOW}.options]
prompt = "reasoning-brief"
verify_prompt = "reasoning-verify-brief"
languages = ["en"]
attempts = 2
temperature = 0.3
max_tokens = 80
"""


def write(folder: Path, *urls: str) -> str:
    """A pipeline.toml in `folder` whose teacher has these endpoints; its path."""
    path = folder / "pipeline.toml"
    path.write_text(PIPELINE.format(urls=json.dumps(urls)))
    return str(path)


def last_run(corpus: Path) -> dict[str, Any]:
    """What the last run counted of its teacher."""
    (record,) = read_runs(corpus, 1)
    assert record["exit"] == 0
    return record["teachers"][FLOW]["two"]


@pytest.fixture(
    params=[
        pytest.param((LLAMA, LLAMA), id="llama.cpp-twice"),
        pytest.param((VLLM_CPU, LLAMA), id="vllm-and-llama.cpp", marks=NEEDS_VLLM),
    ]
)
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Standing]]:
    """Two real servers; the first is the one to be killed."""
    reals: tuple[Real, Real] = request.param
    with ExitStack() as stack:
        standing: list[Standing] = []
        for number, real in enumerate(reals):
            standing.append(Standing(real, tmp_path, f"server-{number}"))
            stack.callback(standing[-1].kill)
        for one in standing:
            one.wait()
        yield standing


def test_one_of_two_real_servers_is_killed_midway_and_nothing_is_lost_or_paid_twice(
    servers: list[Standing], tmp_path: Path
) -> None:
    corpus, config = tmp_path / "corpus", write(tmp_path, *(server.url for server in servers))
    doomed, survivor = servers
    began = time.monotonic()
    process = start("run", "--all", "--no-server", "-c", config)
    while process.poll() is None and min(doomed.num_answered, survivor.num_answered) < 4:
        time.sleep(0.02)
    assert process.poll() is None
    doomed.kill()
    killed_at = time.monotonic() - began
    before = survivor.num_answered
    assert process.wait(timeout=900) == 0
    survivor.kill(signal.SIGTERM)  # in order: the rest of its log is written
    counted = last_run(corpus)
    print(
        f"\n1 of 2 servers killed after {killed_at:.1f} s of {time.monotonic() - began:.1f} s, when they had answered "
        f"{doomed.num_answered} + {before}; in all {doomed.num_answered} + {survivor.num_answered} for "
        f"{counted['requests']} requests; {counted}"
    )
    snapshot = read_snapshot(corpus)
    assert verify(corpus).ok
    assert sum(tally.num_in for entry in snapshot.read_entries() for tally in entry.tallies) == NUM_RECORDS
    assert counted["replayed"] == counted["refused"] == 0 and counted["retries"]
    assert (counted["healthy"], counted["endpoints"]) == (1, 2)
    # the killed server may have answered what was in flight, in vain; the other answered nothing twice
    num_answered = doomed.num_answered + survivor.num_answered
    assert counted["requests"] - IN_FLIGHT <= num_answered <= counted["requests"] + IN_FLIGHT

    # no server is left: everything but the replies is thrown away and made again
    for part in ("data", "commits", "manifest"):
        shutil.rmtree(corpus / part)
    calabash("run", "--all", "--no-server", "-c", config, check=True)
    again = last_run(corpus)
    assert again["requests"] == again["replayed"] == counted["requests"]
    assert read_snapshot(corpus).corpus_sha256 == snapshot.corpus_sha256
