"""How many requests one endpoint is given at once: more while it keeps up, fewer when it says it cannot."""

import random
from typing import Final

CUT: Final = 0.75
"""What is left of the limit after an overload (Data Designer's factor; TCP Reno's 0.5 starves a batch server)."""

SUCCESSES_PER_STEP: Final = 25
"""Answers, while every place is taken, that raise the limit by one."""

COOLDOWN_S: Final = 0.5
"""Pause after an overload whose server names none, in seconds; doubled with each one that follows at once."""

MAX_COOLDOWN_S: Final = 30.0
"""Longest pause of our own accord, in seconds."""


class Aimd:
    """Additive increase, multiplicative decrease (Chiu and Jain, 1989) with a cooldown.

    Times are seconds of a monotonic clock. One burst counts once: overloads of requests that were sent
    before the last cut say nothing new.
    """

    __slots__ = ("_cool_until", "_cut_at", "_num_cuts", "ceiling", "in_flight", "limit")

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.in_flight = 0
        self._cut_at = self._cool_until = float("-inf")
        self._num_cuts = 0

    def opens_at(self) -> float:
        """When the cooldown ends."""
        return self._cool_until

    def has_room(self, now: float) -> bool:
        """Whether one more request may be sent."""
        return self.in_flight < int(self.limit) and now >= self._cool_until

    def succeeded(self) -> None:
        """Note an answer; call it before its place is given back."""
        self._num_cuts = 0
        if self.limit < self.ceiling and self.in_flight >= int(self.limit):
            self.limit = min(self.ceiling, self.limit + 1 / SUCCESSES_PER_STEP)

    def overloaded(self, sent_at: float, now: float, wish: float | None) -> None:
        """Note a request, sent at `sent_at`, that the server could not take; `wish` is its Retry-After in seconds."""
        if wish is not None:
            self._cool_until = max(self._cool_until, sent_at + wish)
        if sent_at < self._cut_at:
            return
        self._cut_at = now
        self.limit = max(1.0, CUT * min(self.limit, self.in_flight))
        if wish is None:
            pause = min(MAX_COOLDOWN_S, COOLDOWN_S * 2**self._num_cuts)
            self._cool_until = max(self._cool_until, now + pause * random.uniform(0.5, 1.0))
        self._num_cuts += 1

    def restart(self) -> None:
        """Begin carefully after an outage: an eighth of the ceiling."""
        self.limit = max(1.0, self.ceiling / 8)
        self._num_cuts = 0
