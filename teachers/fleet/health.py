"""What answers and failures say of the endpoints: pace, draining, looks at their health, and patience's end."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.ask import Reply
from schemas.errors import PipelineError, TeacherError
from teachers.failures import NO_CONTENT, BusyError, LateError, NotACompletion, UnreachableError
from teachers.fleet.breaker import GO_ON, Breaker
from teachers.fleet.endpoint import Endpoint, probe_pause
from teachers.meter import Meter


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a teacher may be away or busy, in seconds: before its first answer, and after it.

    `fault` says why a server that the run started will not come back; None while it may.
    """

    at_first_s: float
    later_s: float
    fault: Callable[[], str | None] = lambda: None


class Health:
    """The endpoints' state, told of every exchange. `changed` is called when one was drained or taken in again."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        breaker: Breaker,
        meter: Meter,
        patience: Patience,
        changed: Callable[[], None],
    ) -> None:
        self._endpoints = endpoints
        self._breaker = breaker
        self._meter = meter
        self._patience = patience
        self._changed = changed
        self.last_answer = float("-inf")
        """When the last completion came, on the monotonic clock."""
        self._troubled_since: float | None = None
        self._looking: set[asyncio.Task[None]] = set()
        meter.num_endpoints = len(endpoints)
        self._gauge()

    def answered(self, endpoint: Endpoint, reply: Reply, seconds: float) -> None:
        """Note a completion. One without text counts against the teacher, and is kept all the same."""
        self._meter.latency.add(seconds)
        self._troubled_since = None
        self.last_answer = time.monotonic()
        before = int(endpoint.pace.limit)
        endpoint.answered(seconds)
        if int(endpoint.pace.limit) != before:
            self._gauge()
        if reply.problem != NO_CONTENT:
            self._breaker.good()
            return
        try:
            self._breaker.bad(f"a chat completion without text (finish_reason {reply.finish_reason!r})")
        except TeacherError:
            self._changed()  # the breaker has tripped; this reply was paid for

    def busy(self, endpoint: Endpoint, error: BusyError, sent_at: float) -> None:
        """Note a request that was turned away; TeacherError when that goes on for too long."""
        self._meter.retries["busy"] += 1
        endpoint.pace.overloaded(sent_at, time.monotonic(), error.retry_after)
        self._gauge()
        self._be_patient(error, 2 * (error.retry_after or 0.0))

    def unreachable(self, endpoint: Endpoint, error: UnreachableError) -> None:
        """Drain an endpoint that takes no connection; TeacherError when there is no patience at all."""
        self._meter.retries["unreachable"] += 1
        self._drain(endpoint, error)
        if all(each.is_sick for each in self._endpoints):
            self._be_patient(error)

    def failed(self, endpoint: Endpoint, error: PipelineError, sent_at: float) -> None:
        """Note a failure that may be the request's or the endpoint's; TeacherError when answers are no completions."""
        if isinstance(error, NotACompletion):
            self._meter.retries["nonsense"] += 1
            self._breaker.bad(str(error))
            return
        is_late = isinstance(error, LateError)
        self._meter.retries["timeout" if is_late else "failed"] += 1
        if is_late:
            endpoint.pace.overloaded(sent_at, time.monotonic(), 0.0)
            self._gauge()
        others = any(not other.is_sick for other in self._endpoints if other is not endpoint)
        if endpoint.failed() and others:
            self._drain(endpoint, error)

    async def close(self) -> None:
        """Look no more."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)

    def _drain(self, endpoint: Endpoint, error: PipelineError) -> None:
        """Send an endpoint nothing until it answers a look at its health."""
        if endpoint.is_sick:
            return
        endpoint.is_sick = True
        self._gauge()
        task = asyncio.create_task(self._revive(endpoint, error))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        self._changed()

    async def _revive(self, endpoint: Endpoint, error: PipelineError) -> None:
        number = 0
        while True:
            await asyncio.sleep(probe_pause(number))
            if await endpoint.client.is_well():
                break
            number += 1
            if not await self._goes_on(error):
                return
        endpoint.recovered()
        self._gauge()
        self._changed()

    async def _goes_on(self, error: PipelineError) -> bool:
        """Whether there is patience left for endpoints that are all away."""
        if not all(each.is_sick for each in self._endpoints):
            return True
        try:
            self._be_patient(error)
        except TeacherError:
            self._changed()
            return False
        return True

    def _be_patient(self, error: PipelineError, least_s: float = 0.0) -> None:
        """TeacherError once the teacher has been away or busy for too long, or will not come back."""
        fault = self._patience.fault()
        if fault is not None:
            self._breaker.trip(fault)
        now = time.monotonic()
        self._troubled_since = now if self._troubled_since is None else self._troubled_since
        seconds = now - self._troubled_since
        if not self._breaker.was_good and any(endpoint.pace.in_flight for endpoint in self._endpoints):
            return  # a slow first answer is on its way
        allowed = self._patience.later_s if self._breaker.was_good else self._patience.at_first_s
        if seconds >= max(allowed, least_s):
            self._breaker.trip(f"{error}; waited {seconds:.0f} s: start it, wait for it, or check base_url; {GO_ON}")

    def _gauge(self) -> None:
        well = [endpoint for endpoint in self._endpoints if not endpoint.is_sick]
        self._meter.limit = sum(int(endpoint.pace.limit) for endpoint in well)
        self._meter.num_healthy = len(well)
