from hypothesis import given
from hypothesis import strategies as st

from teachers.fleet.minute import BURST_SHARE, PerMinute


def test_without_a_limit_everything_passes() -> None:
    bucket = PerMinute(None, 0.0)
    for _ in range(1_000):
        bucket.take(1e6)
    assert bucket.opens_at(1e9, 5.0) == 5.0


@given(
    limit=st.integers(1, 5_000),
    costs=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=200),
)
def test_no_sixty_seconds_pass_the_limit(limit: int, costs: list[tuple[float, int]]) -> None:
    bucket, now, sent = PerMinute(limit, 0.0), 0.0, []
    burst = max(1.0, limit * BURST_SHARE)
    for gap, wanted in costs:
        cost = min(wanted, int(burst))
        now = max(now + gap, bucket.opens_at(cost, now + gap))
        bucket.opens_at(cost, now)
        bucket.take(cost)
        sent.append((now, cost))
    for start, _ in sent:
        assert sum(cost for at, cost in sent if start <= at < start + 60) <= limit + 1e-6


def test_a_minute_s_allowance_is_used_to_the_end() -> None:
    bucket, now, num = PerMinute(600, 0.0), 0.0, 0
    while now < 600.0:
        now = max(now, bucket.opens_at(1, now))
        bucket.opens_at(1, now)
        bucket.take(1)
        num += 1
    assert num > 0.94 * 6_000


def test_a_request_larger_than_the_burst_goes_and_leaves_a_debt() -> None:
    bucket = PerMinute(1_200, 0.0)
    assert bucket.opens_at(1_000, 0.0) == 0.0
    bucket.take(1_000)
    assert bucket.opens_at(1, 0.0) > 45


def test_a_corrected_estimate_gives_back_what_was_not_used() -> None:
    bucket = PerMinute(1_200, 0.0)
    bucket.take(60)
    bucket.correct(60, 10)
    assert bucket.opens_at(50, 0.0) == 0.0
