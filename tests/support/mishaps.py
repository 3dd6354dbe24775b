"""What goes wrong at the faulty endpoint, for whom and when."""

import json
import math
import re
import time
from dataclasses import dataclass

from tests.support.answering import completion
from tests.support.breaking import Steps, status
from tests.support.faults import FAULTS
from tests.support.raw_http import Asked, response

BY_NAME = {fault.name: fault for fault in FAULTS}
BY_RATE_400, BY_RATE_429, BY_RATE_500 = "by-rate-400", "by-rate-429", "by-rate-500"
MARKER = re.compile(rb"\[fault:([\w-]+)(?:\*(\d+))?\]")


@dataclass
class Plan:
    """What goes wrong for whom; every field is a command-line option of the same name.

    `fault` meets every request, or those whose body contains `where`, at their first `tries` tries (0: all).
    `error_rate` of the distinct bodies get a 500 at their first try, `refuse_rate` a 400 at every try.
    Above `requests_per_s` (a bucket that holds `burst_s` seconds' worth), and above `places` requests on the
    wire, the server answers 429, with a Retry-After of whole seconds unless `is_silent`. With the request
    number `outage_after` on the wire it is gone for `outage_s` seconds.
    """

    fault: str = ""
    where: str = ""
    tries: int = 0
    error_rate: float = 0.0
    refuse_rate: float = 0.0
    requests_per_s: float = 0.0
    burst_s: float = 1.0
    places: int = 0
    is_silent: bool = False
    latency_ms: float = 0.0
    outage_after: int = 0
    outage_s: float = 0.0


class Bucket:
    """A token bucket, full at the start."""

    def __init__(self, per_s: float, burst_s: float) -> None:
        self._per_s = per_s
        self._size = self._left = max(1.0, per_s * burst_s)
        self._filled_at = time.monotonic()

    def take(self) -> float:
        """Seconds until the next token: 0 when one was there and is taken."""
        now = time.monotonic()
        self._left = min(self._size, self._left + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0


class Chooser:
    """Picks the mishap of each try; deterministic in the body, but for the rate limit."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._bucket = Bucket(plan.requests_per_s, plan.burst_s)

    def choose(self, asked: Asked, num_tries: int, in_flight: int) -> tuple[str, Steps]:
        """The name of what goes wrong at this try ("" for nothing), and what is sent."""
        sound = json.dumps(completion(asked.body, asked.digest)).encode()
        name = self._named(asked, num_tries)
        script = BY_NAME[name].script if name else None
        if script is not None:
            return name, script(asked, sound)
        is_full = bool(self._plan.places) and in_flight > self._plan.places
        wait = self._bucket.take() if self._plan.requests_per_s and not is_full else 0.0
        if wait or is_full:
            wish = {} if self._plan.is_silent else {"retry_after": str(max(1, math.ceil(wait)))}
            return BY_RATE_429, status(429, "Rate limit reached", **wish)(asked, sound)
        place = int(asked.digest[:8], 16) / 2**32
        if place < self._plan.refuse_rate:
            return BY_RATE_400, status(400, "this prompt is refused for good")(asked, sound)
        if num_tries == 1 and 1 - place < self._plan.error_rate:
            return BY_RATE_500, status(500, "boom")(asked, sound)
        return "", iter((response(200, sound),))

    def _named(self, asked: Asked, num_tries: int) -> str:
        marked = MARKER.search(asked.body)
        if marked:
            name, tries = marked[1].decode(), int(marked[2] or 0)
        elif self._plan.fault and self._plan.where.encode() in asked.body:
            name, tries = self._plan.fault, self._plan.tries
        else:
            return ""
        return name if not tries or num_tries <= tries else ""
