"""An endpoint that goes away and comes back, one that is capped, and a wall clock that jumps."""

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from teachers.fleet import aimd, fleet
from tests.support.asking import asking, request
from tests.support.faulty import faulty
from tests.support.meeting import KEY, STOPPED, ask_all, outcome, patient
from tests.support.mishaps import Plan

HOUR_S = 3_600.0


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)


def questions(num: int) -> list[str]:
    return [f"question {index}" for index in range(num)]


@pytest.mark.parametrize("outage_s", [1.2, pytest.param(30.0, marks=pytest.mark.slow)])
async def test_an_outage_midway_costs_no_record_and_no_request_its_tries(outage_s: float, tmp_path: Path) -> None:
    async with faulty(Plan(latency_ms=20, outage_after=30, outage_s=outage_s)) as server:
        config = patient(server.url, timeout_s=5, patience_s=120, max_retries=1, max_in_flight=8)
        outcomes = await ask_all(config, tmp_path, questions(60), longest_s=outage_s + 20)
    assert [one.what for one in outcomes] == ["sample"] * 60
    assert set(server.paid.values()) == {1}
    assert 60 < server.num_requests <= 68


async def test_an_outage_that_outlasts_patience_stops_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    async with faulty(Plan(latency_ms=20, outage_after=30, outage_s=2)) as server:
        config = patient(server.url, timeout_s=5, patience_s=0.5, max_retries=1, max_in_flight=8)
        outcomes = await ask_all(config, tmp_path, questions(60))
        assert {one.what for one in outcomes} == {"sample", STOPPED}
        told = {one.words for one in outcomes if one.what == STOPPED}
        assert len(told) == 1
        sentence = told.pop()
        assert f"teacher 't' at {server.url}" in sentence
        assert "every reply so far is kept" in sentence
        await server.until_back()
        again = await ask_all(config, tmp_path, questions(60))
    assert [one.what for one in again] == ["sample"] * 60
    assert set(server.paid.values()) == {1}


async def test_one_of_two_endpoints_may_leave_for_good(tmp_path: Path) -> None:
    async with faulty(Plan(latency_ms=20)) as stays, faulty(Plan(latency_ms=20)) as leaves:
        config = patient((stays.url, leaves.url), timeout_s=5, max_retries=1, max_in_flight=8)
        async with asking(config, tmp_path) as (ask, _, _):
            asks = [asyncio.ensure_future(ask(request(question))) for question in questions(60)]
            await leaves.until_paid(5)
            await leaves.stop()
            outcomes = list(map(outcome, await asyncio.gather(*asks, return_exceptions=True)))
    assert [one.what for one in outcomes] == ["sample"] * 60
    assert set((stays.paid + leaves.paid).values()) == {1}


@pytest.mark.parametrize("is_silent", [False, True])
async def test_a_capped_endpoint_answers_everyone_in_the_end(is_silent: bool, tmp_path: Path) -> None:
    async with faulty(Plan(requests_per_s=100, burst_s=0.1, is_silent=is_silent)) as server:
        config = patient(server.url, timeout_s=5, patience_s=30, max_in_flight=32)
        outcomes = await ask_all(config, tmp_path, questions(40))
    assert [one.what for one in outcomes] == ["sample"] * 40
    assert server.faults["by-rate-429"] > 0
    assert set(server.paid.values()) == {1}


async def test_an_endpoint_with_few_places_and_long_answers_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "BASE_S", 0.01)
    monkeypatch.setattr(aimd, "COOLDOWN_S", 0.02)
    async with faulty(Plan(latency_ms=200, places=4, is_silent=True)) as server:
        config = patient(server.url, timeout_s=5, patience_s=30, max_in_flight=16)
        outcomes = await ask_all(config, tmp_path, questions(16))
    assert [one.what for one in outcomes] == ["sample"] * 16


@pytest.mark.parametrize("fault", ["429-wait", "429-date", "500"])
async def test_a_wall_clock_that_jumps_changes_no_wait(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sane, jumps = time.time, itertools.cycle((24 * HOUR_S, -24 * HOUR_S, 0.0, HOUR_S, -HOUR_S))
    async with faulty() as server:
        monkeypatch.setattr(time, "time", lambda: sane() + next(jumps))
        prompts = [f"[fault:{fault}*1] {question}" for question in questions(10)]
        outcomes = await ask_all(patient(server.url, timeout_s=5, patience_s=30), tmp_path, prompts)
    assert [one.what for one in outcomes] == ["sample"] * 10
    assert set(server.paid.values()) == {1}
