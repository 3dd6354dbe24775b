"""A hard ceiling per minute, spread over it: requests or tokens."""

from typing import Final

BURST_SHARE: Final = 1 / 20
"""What may go at once, as a share of a minute's allowance; the rest comes in evenly."""


class PerMinute:
    """A token bucket whose burst and refill together never pass `limit` in any 60 seconds.

    One request that costs more than the burst passes the ceiling by what it is larger. `limit` None
    lets everything pass. Times are seconds of a monotonic clock.
    """

    __slots__ = ("_burst", "_level", "_rate", "_seen")

    def __init__(self, limit: int | None, now: float) -> None:
        self._burst = max(1.0, limit * BURST_SHARE) if limit else 0.0
        self._rate = max(limit - self._burst, 1e-9) / 60 if limit else 0.0
        self._level, self._seen = self._burst, now

    def opens_at(self, cost: float, now: float) -> float:
        """When a request of this cost may go: `now` or before it when it may go at once."""
        if not self._rate:
            return now
        self._level = min(self._burst, self._level + (now - self._seen) * self._rate)
        self._seen = now
        lacking = min(cost, self._burst) - self._level
        # a rounding error is no reason to wait
        return now if lacking <= 1e-9 else now + lacking / self._rate

    def take(self, cost: float) -> None:
        """Count what is sent; more than is there leaves a debt that the minute pays off."""
        if self._rate:
            self._level -= cost

    def correct(self, cost: float, actual: float) -> None:
        """Replace an estimate by what it came to."""
        if self._rate:
            self._level = min(self._burst, self._level + cost - actual)
