"""A budget's limit in a real run: where it stops, what is kept, how it goes on."""

import json
from pathlib import Path

import orjson

from corpus.audit.verify import verify
from flows.run_record import read_runs
from tests.support.here import Ended, ended
from tests.support.kept import asked, kept_requests
from tests.support.pipelines import write_pipeline
from tests.support.serving import serve

FLOW = "multilingual-reasoning"
PRICES = "max_retries = 2\nprice = { input = 100.0, output = 2000.0 }\n"
"""So dear that a sentence costs cents."""

SHORT = "\n[flows.multilingual-reasoning.options]\nmax_tokens = 64\n"
"""Replies are bounded by this, and so is what one request may cost: 0.3 US dollars, of which it takes 0.05."""


def _pipeline(folder: Path, url: str, more: str) -> str:
    path = write_pipeline(folder, url, samples=16, records_per_task=16)
    path.write_text(path.read_text().replace("max_retries = 2\n", PRICES) + SHORT + more)
    return str(path)


def _usd(corpus: Path) -> float:
    """What the kept replies cost, from their tokens."""
    usd = 0.0
    for log in corpus.glob("replies/**/*.jsonl"):
        for line in log.read_bytes().splitlines():
            reply = orjson.loads(line)
            usd += (reply["prompt_tokens"] * 100 + reply["completion_tokens"] * 2000) / 1e6
    return usd


def _run(config: str, *flows: str) -> Ended:
    return ended("run", *(flows or (FLOW,)), "--no-server", "-c", config)


def test_a_run_stops_before_it_passes_its_budget_keeps_all_it_paid_for_and_goes_on_with_a_higher_one(
    tmp_path: Path,
) -> None:
    log, limit = tmp_path / "endpoint.log", 2.0
    with serve(log, "--latency-ms", "40") as url:
        config = _pipeline(tmp_path, url, f"\n[budget]\nusd = {limit}\n")
        stopped = _run(config)
        paid = asked(log)
        kept, spent = kept_requests(tmp_path / "corpus"), _usd(tmp_path / "corpus")
        config = _pipeline(tmp_path, url, "\n[budget]\nusd = 1000.0\n")
        done = _run(config)
    assert stopped.code == 4
    assert stopped.err.count("error:") == 1
    assert "raise usd in [budget] and run again to go on from here" in stopped.err
    # what the server has answered is kept to the last reply: none was on the wire and lost
    assert kept == set(paid)
    first, second = read_runs(tmp_path / "corpus", 2)
    assert 0.5 * limit < spent <= limit
    assert abs(first["budgets"]["budget"]["spent"]["usd"] - spent) < 1e-6
    assert (first["exit"], first["error"], second["exit"]) == (4, "TeacherError", 0)
    assert "is not sent" in first["budgets"]["budget"]["stopped"]
    assert done.code == 0, done.err
    assert max(asked(log).values()) == 1, "something was paid twice"
    assert sum(run["budgets"]["budget"]["spent"]["requests"] for run in (first, second)) == asked(log).total()
    assert verify(tmp_path / "corpus").ok


def test_what_was_answered_at_the_stop_is_all_in_the_reply_logs(tmp_path: Path) -> None:
    log = tmp_path / "endpoint.log"
    with serve(log, "--latency-ms", "40") as url:
        stopped = _run(_pipeline(tmp_path, url, "\n[budget]\ntokens = 4000\n"))
    assert stopped.code == 4
    assert "raise tokens in [budget]" in stopped.err
    assert kept_requests(tmp_path / "corpus") == set(asked(log))


def test_a_flow_stops_at_its_own_limit_of_requests_to_the_request(tmp_path: Path) -> None:
    log = tmp_path / "endpoint.log"
    with serve(log) as url:
        config = _pipeline(tmp_path, url, "\n[flows.captioning.budget]\nrequests = 5\n\n[budget]\nrequests = 100\n")
        stopped = _run(config, "captioning", FLOW)
    assert stopped.code == 4
    assert "5 of 5 requests" in stopped.err
    assert "raise requests in [flows.captioning.budget]" in stopped.err
    assert asked(log).total() == 5
    # what was spent is said though the run failed
    assert "asked in this run" in stopped.out
    assert "pydicom-images" in stopped.out


def test_a_run_says_who_was_asked_for_what_and_what_it_cost(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log") as url:
        config = _pipeline(tmp_path, url, "")
        done = ended("run", "captioning", "--limit", "2", "--no-server", "--json", "-c", config)
    spent = json.loads(done.out)["asked"]
    assert {(one["flow"], one["source"], one["teacher"]) for one in spent} == {
        ("captioning", "pydicom-images", "endpoint"),
        ("captioning", "skimage-photos", "endpoint"),
    }
    assert sum(one["num_requests"] for one in spent) == 4
    tokens = [(one["prompt_tokens"], one["completion_tokens"], one["usd"]) for one in spent]
    assert all(abs((ins * 100 + outs * 2000) / 1e6 - usd) < 1e-9 and usd > 0 for ins, outs, usd in tokens)
