"""Two thousand requests through refusals, errors and a cap at once: nothing else is lost."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.asking import asking, request
from tests.support.faulty import Faulty, faulty
from tests.support.meeting import KEY, Outcome, outcome, patient
from tests.support.mishaps import BY_RATE_429, Plan

NUM = 2_000
PER_S = 200.0

pytestmark = pytest.mark.slow


async def asked(server: Faulty, root: Path) -> tuple[list[Outcome], float]:
    """What became of each request, and the seconds that all took."""
    config = patient(server.url, timeout_s=30, patience_s=120, max_in_flight=256)
    async with asking(config, root) as (ask, _, _):
        began = time.monotonic()
        asks = (ask(request(f"question {index}")) for index in range(NUM))
        ended = await asyncio.gather(*asks, return_exceptions=True)
        return list(map(outcome, ended)), time.monotonic() - began


@pytest.mark.parametrize(("requests_per_s", "burst_s"), [(0.0, 1.0), (PER_S, 1.0), (PER_S, 0.1)])
async def test_refusals_errors_and_a_cap_lose_no_other_record(
    requests_per_s: float,
    burst_s: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    async with faulty(Plan(latency_ms=200)) as server:
        _, in_peace = await asked(server, tmp_path / "peace")
    plan = Plan(latency_ms=200, refuse_rate=0.01, error_rate=0.3, requests_per_s=requests_per_s, burst_s=burst_s)
    async with faulty(plan) as server:
        outcomes, seconds = await asked(server, tmp_path / "war")
    num_refused = sum(int(digest[:8], 16) / 2**32 < plan.refuse_rate for digest in server.tries)
    assert num_refused > 0
    refused = [one for one in outcomes if one.what == "teacher-refused"]
    assert len(refused) == num_refused == NUM - sum(one.what == "sample" for one in outcomes)
    assert all("this prompt is refused for good" in one.words for one in refused)
    assert set(server.paid.values()) == {1}
    taken = server.num_requests - server.faults[BY_RATE_429] - requests_per_s * burst_s
    share = f"{taken / seconds / requests_per_s:.0%} of it used" if requests_per_s else f"{taken / seconds:.0f}/s"
    with capsys.disabled():
        print(
            f"\ncap {requests_per_s:g}/s, burst {burst_s:g} s: {share}; {seconds:.2f} s, {in_peace:.2f} s in peace "
            f"({seconds / in_peace:.2f}x); {server.faults[BY_RATE_429]} turned away, {server.max_in_flight} in flight"
        )
