"""Forecasts: the statistics on numbers, the pilot against a real endpoint."""

import json
import random
from pathlib import Path
from statistics import fmean

import pytest

from flows.intervals import Interval, left_over, student_t, summed
from flows.params import FlowParams
from flows.pilot import chosen
from flows.plan import make_plan
from flows.run_record import read_runs
from tests.support.here import ended
from tests.support.kept import asked
from tests.support.pipelines import write_pipeline
from tests.support.serving import serve

FLOW = "multilingual-reasoning"


@pytest.mark.parametrize(
    ("degrees", "point"), [(1, 12.706), (5, 2.571), (11, 2.2010), (19, 2.0930), (39, 2.0227), (119, 1.9801)]
)
def test_student_t_is_that_of_the_tables(degrees: int, point: float) -> None:
    assert student_t(degrees) == pytest.approx(point, rel=1e-3)


def test_the_interval_of_a_pilot_of_40_covers_the_truth_19_times_in_20() -> None:
    chance = random.Random(7)
    # as skewed as resampling makes it: most records take one request, some take up to eight
    costs = [float(min(8, 1 + int(chance.expovariate(0.7)))) for _ in range(1_259)]
    num_covered = 0
    for _ in range(1_000):
        drawn = chance.sample(range(len(costs)), 40)
        left = left_over([costs[index] for index in drawn], len(costs))
        truth = sum(costs) - sum(costs[index] for index in drawn)
        num_covered += left.low <= truth <= left.high
    assert 0.92 <= num_covered / 1_000 <= 0.98


def test_nothing_is_left_when_all_were_tried_and_nothing_is_known_from_one() -> None:
    assert left_over([3.0, 4.0], 2) == Interval(0.0, 0.0)
    assert left_over([3.0], 5).expected == 12.0
    assert left_over([3.0], 5).high == float("inf")


def test_records_that_take_the_same_leave_no_doubt() -> None:
    assert left_over([2.0] * 5, 100) == Interval(190.0, 0.0)


def test_doubts_about_several_sources_add_in_squares() -> None:
    assert summed([Interval(10.0, 3.0), Interval(20.0, 4.0)]) == Interval(30.0, 5.0)
    assert summed([]) == Interval(0.0, 0.0)


def test_an_interval_does_not_go_below_nothing() -> None:
    assert (Interval(1.0, 3.0).low, Interval(1.0, 3.0).high) == (0.0, 4.0)


def test_a_forecast_covers_what_the_run_then_takes_and_the_run_pays_for_nothing_again(tmp_path: Path) -> None:
    log = tmp_path / "endpoint.log"
    with serve(log) as url:
        path = write_pipeline(tmp_path, url, samples=60, records_per_task=20)
        text = path.read_text().replace("canary = 0", "canary = 0\nprice = { input = 1.0, output = 2.0 }")
        path.write_text(text + "\n[budget]\nrequests = 100000\n")
        config = str(path)
        done = ended("forecast", FLOW, "-n", "12", "--json", "-c", config)
        assert done.code == 0, done.err
        tried = asked(log)
        run = ended("run", FLOW, "--no-server", "-c", config)
        assert run.code == 0, run.err
    told = json.loads(done.out)
    teacher, everyone = told["expected"]
    assert (teacher["teacher"], everyone["teacher"]) == ("endpoint", "all")
    assert (teacher["num_tried"], teacher["num_left"]) == (12, 48)
    assert teacher["requests"] == everyone["requests"]
    (took,) = read_runs(tmp_path / "corpus", 1)[0]["asked"]
    truth = {
        "requests": took["num_requests"] - took["num_replayed"],
        "prompt_tokens": took["prompt_tokens"],
        "completion_tokens": took["completion_tokens"],
        "usd": took["usd"],
    }
    for name, value in truth.items():
        assert everyone[name]["low"] <= value <= everyone[name]["high"], name
        assert everyone[name]["high"] < 2 * value, f"the interval of {name} says nothing"
    assert truth["usd"] == pytest.approx((truth["prompt_tokens"] + 2 * truth["completion_tokens"]) / 1e6)
    assert max(asked(log).values()) == 1
    assert asked(log).total() == tried.total() + truth["requests"]
    (verdict,) = told["budgets"]
    assert (verdict["budget"], verdict["kind"], verdict["suffices"]) == ("budget", "requests", "yes")


def test_a_pilot_is_drawn_from_all_that_is_missing_and_the_seed_decides(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, "http://127.0.0.1:1/v1", samples=400, records_per_task=100)

    def drawn(num: int) -> list[tuple[int, int]]:
        plan = make_plan((FLOW,), FlowParams(config=str(path)))
        return [(task.start, position) for task, position in chosen(plan, plan.flows[0], "icd-10-cm", num)]

    places = drawn(40)
    assert places == drawn(40)
    assert len(set(places)) == 40
    assert all(start <= position < start + 100 for start, position in places)
    assert {start for start, _ in places} == {0, 100, 200, 300}
    assert 150 < fmean(position for _, position in places) < 250
    assert sorted(position for _, position in drawn(1_000)) == list(range(400))
    path.write_text(path.read_text().replace("seed = 7", "seed = 8"))
    assert drawn(40) != places


def test_a_second_pilot_is_replayed_and_tells_the_same(tmp_path: Path) -> None:
    log = tmp_path / "endpoint.log"
    with serve(log) as url:
        config = str(write_pipeline(tmp_path, url, samples=40, records_per_task=10))
        first = ended("forecast", FLOW, "-n", "4", "--json", "-c", config)
        before = asked(log)
        again = ended("forecast", FLOW, "-n", "4", "--json", "-c", config)
    assert first.code == again.code == 0
    assert asked(log) == before
    assert json.loads(first.out)["expected"] == json.loads(again.out)["expected"]


def test_a_budget_that_does_not_suffice_is_named_and_one_that_stops_the_pilot_keeps_its_replies(
    tmp_path: Path,
) -> None:
    log = tmp_path / "endpoint.log"
    with serve(log) as url:
        path = write_pipeline(tmp_path, url, samples=40, records_per_task=20)
        whole = path.read_text()
        path.write_text(whole + "\n[flows.multilingual-reasoning.budget]\nrequests = 7\n")
        stopped = ended("forecast", FLOW, "-n", "6", "-c", str(path))
        num_answered = asked(log).total()
        path.write_text(whole + "\n[flows.multilingual-reasoning.budget]\nrequests = 60\n")
        done = ended("forecast", FLOW, "-n", "6", "-c", str(path))
    assert stopped.code == 4
    assert "raise requests in [flows.multilingual-reasoning.budget]" in stopped.err
    assert num_answered == 7
    assert done.code == 0, done.err
    assert "requests = 60 in [flows.multilingual-reasoning.budget] does not suffice" in done.out
    assert max(asked(log).values()) == 1


def test_a_forecast_of_what_is_committed_asks_nothing(tmp_path: Path) -> None:
    log = tmp_path / "endpoint.log"
    with serve(log) as url:
        config = str(write_pipeline(tmp_path, url, samples=2, records_per_task=2))
        ended("run", FLOW, "--no-server", "-c", config)
        before = asked(log)
        done = ended("forecast", FLOW, "-c", config)
    assert (done.code, asked(log)) == (0, before)
    assert "Nothing is missing" in done.out
