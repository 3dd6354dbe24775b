"""Who may be sent now, and to which endpoint: every ceiling of one teacher in one place."""

import asyncio
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from schemas.errors import TeacherError
from teachers.failures import UnreachableError
from teachers.fleet.affinity import ranked
from teachers.fleet.endpoint import Endpoint
from teachers.fleet.minute import PerMinute

LOAD_BOUND: Final = 1.25
"""An endpoint takes at most so many times the average before what prefers it goes elsewhere.

Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018).
"""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What one teacher may have on the wire, over all its endpoints."""

    in_flight: int
    num_bytes: int
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(slots=True)
class Load:
    """One request as admission sees it: what it prefers, what it weighs, whom it was refused by."""

    affinity: int
    num_bytes: int
    num_tokens: int
    may_wait: bool = True
    """Whether it waits out an outage; one that has another teacher to go to does not."""
    order: int = 0
    """Whose turn it is: of those that wait, the lowest goes first, so that one task ends while the next is at work."""
    avoid: Endpoint | None = None
    is_again: bool = False
    """A request that was turned away goes before those that were never sent."""


class Admission:
    """A queue before the endpoints. All methods belong to one event loop."""

    def __init__(self, endpoints: Sequence[Endpoint], ceilings: Ceilings) -> None:
        self.endpoints = endpoints
        self.in_flight = 0
        self.num_bytes = 0
        self._ceilings = ceilings
        self._requests = PerMinute(ceilings.requests_per_minute, time.monotonic())
        self._tokens = PerMinute(ceilings.tokens_per_minute, time.monotonic())
        self._waiting: list[tuple[bool, int, int, Load, asyncio.Future[Endpoint]]] = []
        """A heap: those that were sent before, then the lowest order, then who came first."""
        self._arrivals = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._opens_at = math.inf
        self._closed: str | None = None

    async def enter(self, load: Load) -> Endpoint:
        """Wait for a place; the endpoint that has it. Give it back with `leave`.

        Raises TeacherError once `close` was called, UnreachableError when every endpoint is sick and
        the request may not wait.
        """
        self._check(load)
        if not self._waiting and (endpoint := self._choose(load)) is not None:
            return self._take(load, endpoint)
        place: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (not load.is_again, load.order, next(self._arrivals), load, place))
        self.pump()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave(load, place.result())
            raise

    def leave(self, load: Load, endpoint: Endpoint, actual_tokens: int | None = None) -> None:
        """Give a place back; `actual_tokens` replaces the estimate where the request was answered."""
        self.in_flight -= 1
        self.num_bytes -= load.num_bytes
        endpoint.pace.in_flight -= 1
        if actual_tokens is not None:
            self._tokens.correct(load.num_tokens, actual_tokens)
        if self._waiting:
            self.pump()

    def close(self, message: str) -> None:
        """Turn away everyone who waits or comes later; what is on the wire goes on."""
        self._closed = message
        self.pump()

    @property
    def is_down(self) -> bool:
        """Whether no endpoint can be asked."""
        return all(endpoint.is_sick for endpoint in self.endpoints)

    def pump(self) -> None:
        """Send on whoever may go; called whenever something changed."""
        self._opens_at = math.inf
        while self._waiting:
            *_, load, place = self._waiting[0]
            if not place.done():
                try:
                    self._check(load)
                except TeacherError as error:
                    place.set_exception(error)
                else:
                    endpoint = self._choose(load)
                    if endpoint is None:
                        break
                    place.set_result(self._take(load, endpoint))
            heappop(self._waiting)
        self._set_timer()

    def _check(self, load: Load) -> None:
        if self._closed is not None:
            raise TeacherError(self._closed)
        if not load.may_wait and self.is_down:
            raise UnreachableError("every endpoint is out of order")

    def _take(self, load: Load, endpoint: Endpoint) -> Endpoint:
        self.in_flight += 1
        self.num_bytes += load.num_bytes
        endpoint.pace.began(time.monotonic())
        self._requests.take(1)
        self._tokens.take(load.num_tokens)
        return endpoint

    def _choose(self, load: Load) -> Endpoint | None:
        """The endpoint for this request, or None while a ceiling holds it; notes when time alone will lift it."""
        if self.in_flight >= self._ceilings.in_flight:
            return None
        if self.in_flight and self.num_bytes + load.num_bytes > self._ceilings.num_bytes:
            return None
        now = time.monotonic()
        opens_at = max(self._requests.opens_at(1, now), self._tokens.opens_at(load.num_tokens, now))
        if opens_at > now:
            self._opens_at = min(self._opens_at, opens_at)
            return None
        return self._roomiest(load, now)

    def _roomiest(self, load: Load, now: float) -> Endpoint | None:
        well = [endpoint for endpoint in self.endpoints if not endpoint.is_sick]
        if len(well) > 1:
            well = ranked(load.affinity, [endpoint for endpoint in well if endpoint is not load.avoid])
        free = [endpoint for endpoint in well if endpoint.pace.has_room(now)]
        if not free:
            cooling = [endpoint.pace.opens_at() for endpoint in well if endpoint.pace.opens_at() > now]
            self._opens_at = min([self._opens_at, *cooling])
            return None
        bound = math.ceil(LOAD_BOUND * (self.in_flight + 1) / len(well))
        within = (endpoint for endpoint in free if endpoint.pace.in_flight < bound)
        return next(within, None) or min(free, key=lambda endpoint: endpoint.pace.in_flight)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._opens_at < math.inf:
            wait = max(0.0, self._opens_at - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait + 0.001, self.pump)
