import io
from collections.abc import Callable

import pytest
from rich.console import Console

from flows.live import Bars, Rate, said_of, texts_of
from flows.progress import Watcher, ticking
from schemas.ask import Reply
from schemas.pipeline import Budget as Limits
from schemas.task import Tally
from teachers.budget import Budget, Cost
from teachers.meter import Meter

Screen = Callable[[], str]


def meter_of(num_asked: int, **gauges: int) -> Meter:
    """A meter that has paid so many replies of 10 + 5 tokens at half a dollar."""
    meter = Meter(**gauges)
    for _ in range(num_asked):
        meter.paid(Reply("x", prompt_tokens=10, completion_tokens=5, usd=0.5), "icd-10-cm")
        meter.latency.add(0.2)
    return meter


def watcher_of(meter: Meter, limits: Limits | None = None) -> Watcher:
    """A watcher of one flow in which 3 of 10 records are settled."""
    watcher = Watcher()
    budget = Budget(limits, "budget")
    watcher.begin("captioning", 10, Budget(None, "flows.captioning.budget", budget))
    watcher.opened("captioning", lambda: {"vision": meter})
    for _ in range(3):
        watcher.record("captioning", Tally("Skin", "CT", num_kept=1, rejected={"too-short": 2}))
    budget.settle(Cost(), Cost(meter.usd, 15 * meter.num_requests, meter.num_requests))
    return watcher


def drawn(watcher: Watcher, *, is_terminal: bool, num_times: int = 1) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=200, color_system=None)
    with Bars(console) as bars:
        for _ in range(num_times):
            bars(watcher)
    return screen.getvalue()


def test_a_terminal_shows_records_money_and_how_each_teacher_is_doing() -> None:
    meter = meter_of(4, in_flight=7, limit=16, num_healthy=1, num_endpoints=2)
    meter.retries.update({"busy": 3, "timeout": 1})
    meter.note("an endpoint was drained")
    meter.note("it is back")
    shown = drawn(watcher_of(meter, Limits(usd=5.0, tokens=1_000)), is_terminal=True)
    for words in (
        "captioning",
        "3/10",
        "kept 3",
        "asked 4",
        "tokens 60",
        "$2.00",
        "vision",
        "in flight 7/16",
        "p50 0.21 s p95 0.21 s",
        "endpoints 1/2",
        "retries busy 3, timeout 1",
        "[budget] 2.00 of 5.00 US dollars, 60 of 1,000 tokens",
        "vision: it is back",
    ):
        assert words in shown, words
    assert "drained" not in shown


def test_elsewhere_the_last_state_is_printed_once() -> None:
    shown = drawn(watcher_of(meter_of(1), Limits(usd=5.0)), is_terminal=False, num_times=5)
    assert shown.count("captioning") == 1
    assert shown.endswith("\n")
    assert "3/10" in shown


def test_a_free_teacher_has_no_money_on_its_line_and_a_silent_one_no_line() -> None:
    silent = watcher_of(Meter(limit=16))
    assert "$" not in said_of(silent.flows["captioning"])
    assert "in flight" not in drawn(silent, is_terminal=True)


def test_a_flow_that_ended_keeps_its_bar_and_loses_its_teachers() -> None:
    watcher = watcher_of(meter_of(4, limit=16))
    watcher.end("captioning")
    shown = drawn(watcher, is_terminal=True)
    assert "3/10" in shown
    assert "in flight" not in shown


def test_requests_per_second_are_those_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.of(0, 100.0) == 0.0
    assert rate.of(50, 105.0) == pytest.approx(10.0)
    assert rate.of(50, 115.0) == 0.0  # nothing in the last ten
    assert rate.of(80, 118.0) == pytest.approx(10.0)


def test_requests_that_were_refused_and_drift_are_on_the_teachers_line() -> None:
    line = texts_of(Meter(num_refused=2, drift="answers changed"), 0.0)
    assert "refused 2" in line
    assert "drifted" in line
    assert "p50 - p95 -" in line


async def test_every_view_sees_the_end_of_a_run_that_fails() -> None:
    seen: list[int] = []
    watcher = Watcher(lambda watched: seen.append(watched.flows["captioning"].num_settled))
    watcher.begin("captioning", 1)
    with pytest.raises(RuntimeError):
        async with ticking(watcher):
            watcher.record("captioning", Tally("", ""))
            raise RuntimeError
    assert seen == [1]
