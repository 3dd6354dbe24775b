"""How hard a teacher is asked: requests in flight, retries, and when to stop asking at all."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, TypeVar

from schemas.errors import GenerationError, TeacherError, TransientError
from teachers.failures import FAILED, NONSENSE, BusyError, NotACompletion, UnreachableError

Answer = TypeVar("Answer")

BASE_S: Final = 0.5
"""The first retry waits at most this long, in seconds; each later one twice as long (full jitter)."""

CAP_S: Final = 30.0
"""No retry waits longer of our own accord, in seconds."""

MAX_WISH_S: Final = 120.0
"""The longest Retry-After that is obeyed, in seconds; a longer wish is cut to it."""

NUM_BAD_AT_START: Final = 5
"""So many bad answers before the first good one, and the endpoint is not what it is taken for."""

NUM_BAD_IN_A_ROW: Final = 20
"""So many bad answers in a row from an endpoint that was good, and something happened to it."""


def pause(attempt: int, wish: float | None) -> float:
    """Seconds to wait before retry `attempt` (0 for the first); never less than the server's wish."""
    jitter = random.uniform(0.0, min(CAP_S, BASE_S * 2**attempt))
    return jitter if wish is None else min(wish, MAX_WISH_S) + min(jitter, BASE_S)


class Breaker:
    """Tells one bad answer from a bad endpoint; once tripped, every ask ends with the same TeacherError."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._message: str | None = None
        self._was_good = False
        self._num_bad = 0
        self._last = ""

    def check(self) -> None:
        """TeacherError when the endpoint was given up."""
        if self._message is not None:
            raise TeacherError(self._message)

    def good(self) -> None:
        """Note a usable answer."""
        self._was_good, self._num_bad = True, 0

    def bad(self, error: GenerationError) -> None:
        """Note a nonsense answer or a request that failed for good; TeacherError when they are too many."""
        self._num_bad += 1
        self._last = str(error)
        if self._num_bad >= (NUM_BAD_IN_A_ROW if self._was_good else NUM_BAD_AT_START):
            self._give_up_on_answers()

    def vouch(self) -> None:
        """TeacherError when there were answers and not one was good: what they led to is not to be kept."""
        if self._num_bad and not self._was_good:
            self._give_up_on_answers()

    def _give_up_on_answers(self) -> NoReturn:
        self.trip(
            f"{self.where}: {self._num_bad} answers in a row are unusable, the last: {self._last}; check that "
            "base_url leads to an OpenAI-compatible server that serves this model"
        )

    def give_up(self, error: TransientError, num_tries: int) -> NoReturn:
        """End a request whose last try failed: the request alone when the endpoint works for others.

        Raises GenerationError ("teacher-failed") when others were answered, TeacherError when the endpoint
        is unreachable or overloaded, or never gave an answer.
        """
        if self._was_good and not isinstance(error, UnreachableError | BusyError):
            failed = GenerationError(FAILED, f"{error} ({num_tries} tries)")
            self.bad(failed)
            raise failed from None
        self.trip(
            f"{error} ({num_tries} tries); start it, wait for it, or check base_url: every reply so far is "
            "kept, and running again goes on from here"
        )

    def trip(self, message: str) -> NoReturn:
        """Stop asking this teacher."""
        self._message = message
        raise TeacherError(message) from None


class Limits:
    """The retries, the ceiling and the breaker of one teacher.

    At most `max_in_flight` tries are on the wire; a request that waits for its retry holds no place.
    """

    def __init__(self, where: str, max_in_flight: int, max_retries: int) -> None:
        self._breaker = Breaker(where)
        self._places = asyncio.Semaphore(max_in_flight)
        self._num_tries = max_retries + 1

    def vouch(self) -> None:
        """TeacherError when no answer so far was usable."""
        self._breaker.vouch()

    async def call(self, ask_once: Callable[[int], Awaitable[Answer]]) -> Answer:
        """The answer of `ask_once(n)`, n = 0 first and one more at each retry.

        Raises GenerationError when this request has no usable answer, TeacherError when none will have.
        """
        for attempt in range(self._num_tries):
            is_last = attempt + 1 == self._num_tries
            try:
                return await self._try(ask_once, attempt)
            except TransientError as error:
                if is_last:
                    self._breaker.give_up(error, self._num_tries)
                wish = error.retry_after
            except NotACompletion:
                if is_last:
                    raise
                wish = None
            await asyncio.sleep(pause(attempt, wish))
        raise AssertionError("unreachable: the last try returns or raises")

    async def _try(self, ask_once: Callable[[int], Awaitable[Answer]], attempt: int) -> Answer:
        async with self._places:
            self._breaker.check()
            try:
                answer = await ask_once(attempt)
            except TransientError:
                raise
            except TeacherError as error:
                self._breaker.trip(str(error))
            except GenerationError as error:
                if error.reason == NONSENSE:
                    self._breaker.bad(error)
                raise
        self._breaker.good()
        return answer
