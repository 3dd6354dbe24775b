"""The endpoints of one teacher: opened at the first request, asked within every ceiling, drained when sick."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Final, NoReturn

import orjson

from schemas.ask import Request
from schemas.errors import TeacherError, TransientError
from schemas.pipeline import Teacher
from teachers.answer import Answer
from teachers.budget import NOTHING, Budget, Cost, cost_of, upper_of
from teachers.capability import prompt_tokens
from teachers.failures import BusyError, NotACompletion, UnreachableError
from teachers.fleet.admission import Admission, Ceilings, Load
from teachers.fleet.affinity import affinity_of
from teachers.fleet.breaker import Breaker
from teachers.fleet.endpoint import Endpoint
from teachers.fleet.health import Health, Patience
from teachers.meter import Meter
from teachers.pictures.sender import PictureSender
from teachers.serving.served import Server
from teachers.wire.client import Client
from teachers.wire.completion import body_of

BASE_S: Final = 0.5
"""The first retry waits at most this long, in seconds; each later one twice as long (full jitter)."""

CAP_S: Final = 30.0
"""No retry waits longer, in seconds."""

NUM_TURNED_AWAY: Final = 10
"""So many 502s and 503s on one request, while others were answered, and it is the request that breaks the server."""

BODY_BYTES: Final = 2_048
"""What a request weighs besides its text and frames, in bytes: field names, sampling, schema."""


def pause_of(attempt: int) -> float:
    """Seconds to wait before retry `attempt` (0 for the first)."""
    return random.uniform(0.0, min(CAP_S, BASE_S * 2**attempt))


def patience_of(config: Teacher, server: "Server | None") -> Patience:
    """How long to wait for a teacher that is away or busy.

    One that never answered is given as long as a request's retries could take; one that the run started
    also as long as its start may take.
    """
    at_first_s = sum(min(CAP_S, BASE_S * 2**attempt) for attempt in range(config.max_retries))
    if server is None:
        return Patience(at_first_s, config.patience_s)
    least_s = 0.0 if config.serve is None else config.serve_timeout_s
    return Patience(max(at_first_s, least_s), max(config.patience_s, least_s), lambda: server.fault)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a fleet shares with the teacher it belongs to; `server` is the one that the run started, if any."""

    budget: Budget
    meter: Meter
    pictures: PictureSender
    server: "Server | None" = None


class Fleet:
    """What stands behind `ask` once a request really has to be sent.

    Requests on the same picture go to the same endpoint while it has room. A request that waits for its
    retry holds no place. Busy and unreachable endpoints cost a request no try: it waits, or goes to
    another one, and the teacher is given up after `patience_s`.
    """

    def __init__(
        self, name: str, config: Teacher, key: str | None, parts: Parts, urls: tuple[str, ...], max_in_flight: int
    ) -> None:
        self._name = name
        self._config = config
        self._price = config.price
        self._parts = parts
        self._breaker = Breaker(f"teacher {name!r}")
        self._endpoints = [Endpoint(Client(name, config, url, key), max_in_flight) for url in urls]
        num_bytes = config.max_megabytes_in_flight << 20
        ceilings = Ceilings(max_in_flight, num_bytes, config.requests_per_minute, config.tokens_per_minute)
        self._admission = Admission(self._endpoints, ceilings)
        patience = patience_of(config, parts.server)
        self._health = Health(self._endpoints, self._breaker, parts.meter, patience, self._changed)
        self._stopped = asyncio.Event()

    async def ask(self, request: Request, key: str, *, may_wait: bool = True, order: int = 0) -> Answer:
        """Ask until there is an answer, or none to be had.

        Raises GenerationError when this request has no usable answer, UnreachableError when every
        endpoint is away and the request may not wait, TeacherError when the teacher or the budget is out.
        """
        load = self._load_of(request, key, may_wait, order)
        try:
            return await self._ask(request, load)
        except TeacherError:
            self._changed()
            raise

    @property
    def is_out(self) -> bool:
        """Whether the teacher was given up or stopped."""
        return self._breaker.message is not None

    def stop(self, message: str) -> None:
        """Send nothing more: whoever waits gets TeacherError(message); what is on the wire lands and is kept."""
        self._breaker.message = self._breaker.message or message
        self._admission.close(self._breaker.message)
        self._stopped.set()

    def vouch(self) -> None:
        """TeacherError when no answer so far was usable."""
        self._breaker.vouch()

    async def describe(self) -> bytes:
        """What the first endpoint says it serves; empty when it does not say."""
        return await self._endpoints[0].client.describe()

    async def close(self) -> None:
        """Close every connection."""
        await self._health.close()
        for endpoint in self._endpoints:
            await endpoint.client.close()

    def _changed(self) -> None:
        """Somebody who waits may go now, or nobody ever will."""
        if self._breaker.message is not None:
            self.stop(self._breaker.message)
        else:
            self._admission.pump()

    def _load_of(self, request: Request, key: str, may_wait: bool, order: int) -> Load:
        num_bytes = BODY_BYTES + sum(len(turn.text) for turn in request.turns)
        if "image" in self._config.accepts:
            for turn in request.turns:
                num_bytes += self._parts.pictures.size(turn.frames) if turn.frames else 0
        num_tokens = 0
        if self._config.tokens_per_minute is not None:
            num_tokens = prompt_tokens(request, self._config.pictures.max_pixels) + request.sampling.max_tokens
        return Load(affinity_of(request, key), num_bytes, num_tokens, may_wait, order)

    async def _ask(self, request: Request, load: Load) -> Answer:
        num_failed, num_turned_away, began = 0, 0, time.monotonic()
        upper = upper_of(request, self._price) if self._parts.budget.is_limited else NOTHING
        while True:
            endpoint = await self._admission.enter(load)
            await self._reserve(upper, load, endpoint)
            sent_at = time.monotonic()
            try:
                return await self._exchange(request, load, endpoint, upper)
            except BusyError as error:
                self._health.busy(endpoint, error, sent_at)
                num_turned_away += error.is_of_gateway
                if num_turned_away > NUM_TURNED_AWAY and self._health.last_answer > began:
                    self._breaker.failed(error, num_turned_away)
            except UnreachableError as error:
                self._health.unreachable(endpoint, error)
            except (TransientError, NotACompletion) as error:
                num_failed += 1
                self._health.failed(endpoint, error, sent_at)
                if num_failed > self._config.max_retries:
                    self._give_up(error, num_failed)
                await self._rest(num_failed - 1, error)
            load.avoid, load.is_again = endpoint, True

    async def _reserve(self, upper: Cost, load: Load, endpoint: Endpoint) -> None:
        """Put the most that this request can cost aside; the place is given back when that fails."""
        budget = self._parts.budget
        if budget.try_reserve(upper):
            return
        try:
            await budget.wait(upper, self._name)
            if self._stopped.is_set():
                budget.settle(upper, NOTHING)
                self._breaker.check()
        except BaseException:
            self._admission.leave(load, endpoint)
            self._parts.meter.in_flight = self._admission.in_flight
            raise

    async def _exchange(self, request: Request, load: Load, endpoint: Endpoint, upper: Cost) -> Answer:
        """One try, in the place and with the money that were put aside for it."""
        meter, actual, tokens = self._parts.meter, NOTHING, None
        meter.in_flight = self._admission.in_flight
        try:
            answer, seconds = await endpoint.client.complete(await self.body_of(request))
            actual = cost_of(answer[0], self._price, upper)
            tokens = actual.tokens
            self._health.answered(endpoint, answer[0], seconds)
            return answer
        except TransientError:
            raise
        except TeacherError as error:
            self.stop(str(error))  # before the place is given back, or the next in line is sent
            raise
        finally:
            self._parts.budget.settle(upper, actual)
            self._admission.leave(load, endpoint, tokens)
            meter.in_flight = self._admission.in_flight

    async def body_of(self, request: Request) -> bytes:
        """The request as JSON; frames are encoded now and no earlier, so that only what is sent is in memory."""
        urls: dict[str, str] = {}
        if "image" in self._config.accepts:
            for turn in request.turns:
                if turn.frames:
                    found = await self._parts.pictures.urls(turn.frames)
                    urls.update(zip((frame.sha256 for frame in turn.frames), found, strict=True))
        body = orjson.dumps(body_of(request, self._config, urls), default=dict)
        return bytes(memoryview(body)) if urls else body  # orjson reserves eight times a long string

    def _give_up(self, error: TransientError | NotACompletion, num_tries: int) -> NoReturn:
        if isinstance(error, NotACompletion):
            raise error
        self._breaker.failed(error, num_tries)

    async def _rest(self, attempt: int, error: TransientError | NotACompletion) -> None:
        """Wait before a retry, not longer than the run goes on."""
        wish = error.retry_after if isinstance(error, TransientError) else None
        seconds = pause_of(attempt) if wish is None else wish + min(pause_of(attempt), BASE_S)
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return
