from heapq import heappop, heappush
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachers.fleet.aimd import CUT, SUCCESSES_PER_STEP, Aimd


def full(pace: Aimd, num: int | None = None) -> Aimd:
    pace.in_flight = int(pace.limit) if num is None else num
    return pace


def test_it_starts_at_the_ceiling_and_never_passes_it() -> None:
    pace = full(Aimd(8))
    for _ in range(1_000):
        pace.succeeded(0.2)
    assert pace.limit == 8
    assert not pace.has_room(0.0)


def test_one_burst_counts_once() -> None:
    pace = full(Aimd(100))
    for _ in range(60):  # all sent before the first of them failed
        pace.overloaded(sent_at=1.0, now=2.0, wish=0.0)
    assert pace.limit == 100 * CUT
    pace.overloaded(sent_at=3.0, now=3.1, wish=0.0)
    assert pace.limit < 100 * CUT


def test_a_cut_counts_from_what_was_really_in_flight() -> None:
    pace = full(Aimd(256), 40)
    pace.overloaded(0.0, 0.1, 0.0)
    assert pace.limit == 30


def test_a_lone_request_that_was_turned_away_does_not_make_a_run_crawl() -> None:
    pace = full(Aimd(256), 1)
    pace.overloaded(0.0, 0.1, 1.0)
    assert pace.limit == 1
    for _ in range(200):
        full(pace).succeeded(0.2)
    assert int(pace.limit) == 256 * CUT
    full(pace).succeeded(0.2)
    assert int(pace.limit) == 256 * CUT, "from here on step by step"


def test_retry_after_closes_the_endpoint_for_that_long() -> None:
    pace = full(Aimd(8), 2)
    pace.overloaded(sent_at=10.0, now=10.1, wish=5.0)
    pace.in_flight = 0
    assert not pace.has_room(14.9)
    assert pace.has_room(15.0)


def test_without_a_wish_the_pause_doubles_while_nothing_succeeds() -> None:
    pace, now, pauses = full(Aimd(8), 8), 0.0, []
    for _ in range(4):
        pace.overloaded(now, now, None)
        pauses.append(pace.opens_at() - now)
        now = pace.opens_at()
    assert all(0.25 * 2**index <= pause <= 0.5 * 2**index for index, pause in enumerate(pauses))


def test_success_raises_the_limit_only_while_every_place_is_taken() -> None:
    pace = full(Aimd(100))
    pace.overloaded(0.0, 0.0, 0.0)
    before = pace.limit
    full(pace, 3)
    for _ in range(100):
        pace.succeeded(0.2)
    assert pace.limit == before
    for _ in range(SUCCESSES_PER_STEP):
        full(pace).succeeded(0.2)
    assert round(pace.limit - before, 6) == 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e4), st.floats(0, 10) | st.none()), max_size=60))
def test_whatever_happens_one_request_may_go_and_never_more_than_the_ceiling(
    events: list[tuple[bool, float, float | None]],
) -> None:
    pace = Aimd(16)
    for is_good, now, wish in sorted(events, key=lambda event: event[1]):
        full(pace)
        if is_good:
            pace.succeeded(0.2)
        else:
            pace.overloaded(now, now, wish)
        assert 1 <= int(pace.limit) <= 16
    pace.in_flight = 0
    assert pace.has_room(pace.opens_at() + 1e-3)


class Capped:
    """A server that takes `cap` requests a second, `burst` of them at once, in simulated time."""

    def __init__(self, cap: float, burst: float) -> None:
        self.cap, self.burst, self.level, self.seen = cap, burst, 0.0, 0.0

    def takes(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.seen) * self.cap)
        self.seen = now
        self.level -= (taken := self.level >= 1)
        return taken


def share_of_cap(server: Capped, seconds: float, latency: float = 0.2, wish: float = 1.0) -> float:
    """What is answered of what the server could answer, to one client with 256 places that always has more to ask."""
    pace, now, num_answered, order = Aimd(256), 0.0, 0, count()
    ends: list[tuple[float, int, float, bool]] = []
    while now < seconds:
        while pace.has_room(now):
            pace.began(now)
            is_taken = server.takes(now)
            heappush(ends, (now + (latency if is_taken else 0.005), next(order), now, is_taken))
        is_held_by_time = pace.in_flight < int(pace.limit)
        now = min([end for end, *_ in ends[:1]] + ([max(pace.opens_at(), now + 0.001)] if is_held_by_time else []))
        while ends and ends[0][0] <= now:
            _, _, sent_at, was_taken = heappop(ends)
            if was_taken:
                pace.succeeded(now - sent_at)
                num_answered += 1
            else:
                pace.overloaded(sent_at, now, wish)
            pace.in_flight -= 1
    return num_answered / (server.cap * seconds)


@pytest.mark.parametrize(
    ("cap", "burst", "seconds", "least"),
    [
        (200, 200, 20, 0.93),
        (200, 200, 60, 0.95),
        (200, 200, 300, 0.98),
        (20, 20, 60, 0.95),
        (200, 20, 300, 0.9),
        (1_000, 100, 300, 0.9),
    ],
)
def test_nearly_all_that_a_capped_server_takes_is_used(cap: float, burst: float, seconds: float, least: float) -> None:
    assert share_of_cap(Capped(cap, burst), seconds) > least
