"""What a teacher did in this run: requests, tokens, money, retries by cause, latency."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.ask import Reply

BOUNDS: Final = tuple(round(0.001 * 1.25**step, 6) for step in range(64))
"""Upper bounds of the latency histogram's buckets, in seconds: 1 ms to 21 minutes, 25% apart."""


NUM_NOTES: Final = 20
"""How many sentences a meter keeps."""


@dataclass(slots=True)
class Latency:
    """A histogram of seconds from sending a request to having its whole answer."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one exchange."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def quantile(self, share: float) -> float | None:
        """The upper bound of the bucket that holds the quantile, in seconds; None before the first exchange."""
        left = share * sum(self.counts)
        if not left:
            return None
        for bound, count in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            left -= count
            if left <= 0:
                return bound
        return BOUNDS[-1]


@dataclass(slots=True)
class Account:
    """What was asked of one teacher for one source: the same counts as `Meter`'s, from the same moments."""

    num_requests: int = 0
    num_replayed: int = 0
    num_refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0


@dataclass(slots=True)
class Meter:
    """Counters of one teacher in one run.

    `num_requests` counts every answered request, `num_replayed` those of them answered from a kept
    reply. Tokens and `usd` count what was paid now: a replayed reply adds nothing to them. `num_refused`
    counts requests that ended without a reply. `in_flight`, `limit` and `num_healthy` are gauges.
    `notes` are sentences for people, the last NUM_NOTES of them. `sources` has the same
    counts by source, for those who ask for one.
    """

    num_requests: int = 0
    num_replayed: int = 0
    num_refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    retries: Counter[str] = field(default_factory=Counter[str])
    latency: Latency = field(default_factory=Latency)
    in_flight: int = 0
    limit: int = 0
    num_healthy: int = 0
    num_endpoints: int = 0
    drift: str = ""
    notes: list[str] = field(default_factory=list[str], compare=False)
    sources: dict[str, Account] = field(default_factory=dict[str, Account], compare=False)

    def replayed(self, source: str = "") -> None:
        """Count a request that a kept reply answered."""
        for one in (self, self._account(source)):
            one.num_requests += 1
            one.num_replayed += 1

    def refused(self, source: str = "") -> None:
        """Count a request that ended without a reply."""
        self.num_refused += 1
        self._account(source).num_refused += 1

    def paid(self, reply: Reply, source: str = "") -> None:
        """Count a request that the teacher answered."""
        for one in (self, self._account(source)):
            one.num_requests += 1
            one.prompt_tokens += reply.prompt_tokens
            one.completion_tokens += reply.completion_tokens
            one.usd += reply.usd

    def note(self, sentence: str) -> None:
        """Keep a sentence that somebody should read."""
        self.notes = [*self.notes[-NUM_NOTES + 1 :], sentence]

    def _account(self, source: str) -> Account:
        account = self.sources.get(source)
        if account is None:
            account = self.sources[source] = Account()
        return account

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the latency as its 50th and 95th percentiles in seconds."""
        return {
            "requests": self.num_requests,
            "replayed": self.num_replayed,
            "refused": self.num_refused,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "usd": round(self.usd, 6),
            "retries": dict(self.retries),
            "latency_p50_s": self.latency.quantile(0.5),
            "latency_p95_s": self.latency.quantile(0.95),
            "in_flight": self.in_flight,
            "limit": self.limit,
            "healthy": self.num_healthy,
            "endpoints": self.num_endpoints,
            "drift": self.drift,
            "notes": list(self.notes),
        }
