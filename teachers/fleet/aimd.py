"""How many requests one endpoint is given at once, and how fast: more while it keeps up, fewer when it cannot."""

import random
from typing import Final

CUT: Final = 0.75
"""What is left of the limit after an overload (Data Designer's factor; TCP Reno's 0.5 starves a batch server)."""

SETTLED_S: Final = 0.5
"""Seconds of sending, from a cooldown to an overload, that tell at what rate requests are taken."""

GUESS_CUT: Final = 0.5
"""What is left of a rate that was a guess and too high; it doubles in DOUBLING_S while it is too low."""

DOUBLING_S: Final = 2.0

CREDIT: Final = 0.97
"""What is left of the rate that was taken when it became too much: some of it came out of a bucket's reserve."""

DEPTH: Final = 0.1
PLATEAU_S: Final = 20.0
"""CUBIC's curve (RFC 9438): from a tenth below the rate that was taken, up to it in so many seconds, then beyond."""

SUCCESSES_PER_STEP: Final = 25
"""Answers, while every place is taken, that raise the limit by one."""

COOLDOWN_S: Final = 0.5
"""Pause after an overload whose server names none, in seconds; doubled with each one that follows at once."""

MAX_COOLDOWN_S: Final = 30.0
"""Longest pause of our own accord, in seconds."""

LAG_S: Final = 0.02
"""How far sending may fall behind its rate and catch up at once, in seconds: an event loop is no metronome."""

FORGET: Final = 4.0
"""So many times the rate that was once taken without an overload, and it is forgotten."""


class Aimd:
    """Additive increase, multiplicative decrease (Chiu and Jain, 1989), a cooldown, and a rate once one is known.

    Times are seconds of a monotonic clock. One burst counts once: overloads of requests that were sent
    before the last cut say nothing new. A server that takes so many requests a second is not found by a
    limit on how many are in flight: after an overload sending is spread, first over a round trip, then at
    the rate that was taken.
    """

    __slots__ = ("_cool_until", "_cut_at", "_next_at", "_num_cuts", "_rate", "_reach", "ceiling", "in_flight", "limit")

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.in_flight = 0
        self._cut_at = self._cool_until = self._next_at = float("-inf")
        self._num_cuts = 0
        self._reach = 0.0
        """Up to here the limit grows by one with every answer (TCP's slow start): it was cut for few in flight."""
        self._rate = Rate()

    def opens_at(self) -> float:
        """When the next request may go, as far as time decides it."""
        return max(self._cool_until, self._next_at)

    def has_room(self, now: float) -> bool:
        """Whether one more request may be sent."""
        return self.in_flight < int(self.limit) and now >= self._cool_until and now >= self._next_at

    def began(self, now: float) -> None:
        """Note a request that is sent."""
        self.in_flight += 1
        gap = self._rate.gap(now)
        if gap:
            self._next_at = max(self._next_at, now - LAG_S) + gap

    def succeeded(self, seconds: float) -> None:
        """Note an answer that took so many seconds; call it before its place is given back."""
        self._num_cuts = 0
        self._rate.answered(seconds)
        if self.limit < self.ceiling and self.in_flight >= int(self.limit):
            step = 1.0 if self.limit < self._reach else 1 / SUCCESSES_PER_STEP
            self.limit = min(self.ceiling, self.limit + step)

    def overloaded(self, sent_at: float, now: float, wish: float | None) -> None:
        """Note a request, sent at `sent_at`, that the server could not take; `wish` is its Retry-After in seconds."""
        is_new = sent_at >= self._cut_at
        if wish is not None:
            self._cool_until = max(self._cool_until, sent_at + wish)
        if not is_new:
            return
        self._cut_at = now
        was_full = self.in_flight >= int(self.limit)
        self._reach = CUT * (self.limit if was_full else max(self.limit, self._reach))
        if not self._rate.is_set:
            self.limit = min(self.limit, self.in_flight)
        self.limit = max(1.0, CUT * self.limit)
        if wish is None:
            pause = min(MAX_COOLDOWN_S, COOLDOWN_S * 2**self._num_cuts)
            self._cool_until = max(self._cool_until, now + pause * random.uniform(0.5, 1.0))
        self._num_cuts += 1
        self._rate.cut(now, self.limit, self._cool_until)

    def restart(self) -> None:
        """Begin carefully after an outage: an eighth of the ceiling."""
        self.limit = max(1.0, self.ceiling / 8)
        self._reach, self._num_cuts, self._rate = 0.0, 0, Rate()


class Rate:
    """How many requests a second one endpoint is sent; unset until its first overload."""

    __slots__ = ("_is_guess", "_num_sent", "_per_s", "_recent", "_round_trip_s", "_since", "_slot_at")

    def __init__(self) -> None:
        self._per_s = self._recent = self._round_trip_s = 0.0
        self._since = self._slot_at = float("-inf")
        self._num_sent = 0
        self._is_guess = True

    @property
    def is_set(self) -> bool:
        """Whether sending is spread."""
        return self._per_s > 0

    def answered(self, seconds: float) -> None:
        """Note how long an answer took."""
        self._round_trip_s += (seconds - self._round_trip_s) * (0.1 if self._round_trip_s else 1.0)

    def gap(self, now: float) -> float:
        """Note a request that is sent now; seconds to leave before the next (0: none)."""
        self._num_sent += 1
        if now - self._slot_at >= SETTLED_S:
            self._recent = self._num_sent / (now - self._slot_at)
            self._slot_at, self._num_sent = now, 0
        if not self._per_s:
            return 0.0
        seconds = max(0.0, now - self._since)
        growth = 2 ** (seconds / DOUBLING_S) if self._is_guess else _growth(seconds)
        if growth > FORGET and not self._is_guess:
            self._per_s = 0.0
            return 0.0
        return 1 / (self._per_s * growth)

    def cut(self, now: float, limit: float, until: float) -> None:
        """Take back the rate after an overload; sending goes on at `until` with so many places."""
        seconds = now - self._since
        if self._recent and SETTLED_S <= seconds < float("inf"):
            self._per_s = CREDIT * self._recent
            self._is_guess = False
        elif self._per_s:
            self._per_s *= GUESS_CUT
            self._is_guess = True
        elif self._round_trip_s:
            self._per_s = limit / self._round_trip_s
        self._since = self._slot_at = until
        self._num_sent, self._recent = 0, 0.0


def _growth(seconds: float) -> float:
    """How far a rate is from what was taken, as a factor, so many seconds after the last cooldown."""
    return 1 + DEPTH * ((seconds - PLATEAU_S) / PLATEAU_S) ** 3
