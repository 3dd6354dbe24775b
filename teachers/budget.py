"""What asking costs, and the budgets that stop a run before it spends more than it may."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from schemas.ask import Reply, Request
from schemas.errors import TeacherError
from schemas.pipeline import Budget as Limits
from schemas.pipeline import Price, Teacher

KINDS: Final = ("usd", "tokens", "requests")
"""What a budget counts, as its keys are spelled in pipeline.toml and in the order of `Cost`."""

UNITS: Final = {"usd": "US dollars", "tokens": "tokens", "requests": "requests"}
"""How a person reads them."""

TOKENS_PER_TURN: Final = 32
"""More than any common chat template adds around a turn."""

PIXELS_PER_TOKEN: Final = 14 * 14
"""A vision encoder makes at most one token of a patch; 14 pixels is the smallest side in use (CLIP, Qwen-VL)."""

MIN_FRAME_TOKENS: Final = 2_880
"""What a small frame may be enlarged to: five tiles of 576 tokens (LLaVA-NeXT's grid)."""

ROUNDING: Final = 1e-9
"""US dollars by which sums of floats may be off: a limit of 0.3 lets three requests of 0.1 through."""


class Cost(NamedTuple):
    """What one request costs, or some did: US dollars, prompt and completion tokens, requests."""

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0


NOTHING: Final = Cost()
"""What a request cost that ended without a reply."""


def cost(reply: Reply, price: Price) -> float:
    """US dollars of one reply; prices are per million tokens."""
    return (reply.prompt_tokens * price.input + reply.completion_tokens * price.output) / 1e6


def cost_of(reply: Reply, price: Price, upper: Cost = NOTHING) -> Cost:
    """What a reply that was asked for costs, for `Budget.settle`; `upper` where its server counts no tokens."""
    if not reply.prompt_tokens and not reply.completion_tokens:
        return Cost(upper.usd, upper.tokens, 1)
    return Cost(cost(reply, price), reply.prompt_tokens + reply.completion_tokens, 1)


def price_of(config: Teacher) -> Price:
    """What a teacher's tokens cost: its price, lower where it is asked in batches."""
    if config.batch is None:
        return config.price
    factor = config.batch.price_factor
    return Price(input=config.price.input * factor, output=config.price.output * factor)


def upper_of(request: Request, price: Price) -> Cost:
    """The most that a request can cost: a token is at least one byte of text, or one patch of a frame.

    About four times the truth for the prompt (English has four characters a token), and `max_tokens`
    for the reply. What is not used is given back by `Budget.settle`, so a large bound costs concurrency
    close to the limit and nothing else.
    """
    prompt = sum(_tokens_at_most(turn.text) + TOKENS_PER_TURN for turn in request.turns)
    for turn in request.turns:
        prompt += sum(max(MIN_FRAME_TOKENS, f.width * f.height // PIXELS_PER_TOKEN) for f in turn.frames)
    if request.schema is not None:
        prompt += len(str(request.schema))  # some servers put it into the prompt
    completion = request.sampling.max_tokens
    return Cost((prompt * price.input + completion * price.output) / 1e6, prompt + completion, 1)


def _tokens_at_most(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@dataclass(slots=True)
class _Waiter:
    """A request that waits for others to give back what they do not use."""

    upper: Cost
    who: str
    granted: asyncio.Future[None]


class Budget:
    """What a run, or one of its flows (inside `parent`, the run's), may spend: a hard limit.

    Reserve the most that a request can cost before sending it, and settle with what it did cost: then
    `spent` never passes a limit by what was on its way. Only an upper bound below the truth (a server
    that counts more prompt tokens than the prompt has bytes, or ignores `max_tokens`) lets it pass, by
    the shortfall of the requests in flight at that moment. Money does not stop a teacher that is free.
    One event loop; nothing here is thread-safe. `name` is the table in pipeline.toml, `chain` is this
    budget and those above it, `stopped` the sentence once it has refused a request.
    """

    def __init__(self, limits: Limits | None = None, name: str = "budget", parent: "Budget | None" = None) -> None:
        self.limits = limits or Limits()
        self.name = name
        self.spent = NOTHING
        self.stopped = ""
        self._limits = (self.limits.usd, self.limits.tokens, self.limits.requests)
        self._reserved = NOTHING
        self._num_in_flight = 0
        self.chain: tuple[Budget, ...] = (self, *(parent.chain if parent else ()))
        self._waiting: deque[_Waiter] = deque()
        self._queues: list[Budget] = self.chain[-1]._queues if parent else []
        self.is_limited = any(limit is not None for one in self.chain for limit in one._limits)

    def try_reserve(self, upper: Cost) -> bool:
        """Whether a request that costs at most `upper` may be sent now; if so, settle it when it ended."""
        if not self.is_limited:
            return True
        if self._waiting or not self._fits(upper):
            return False
        self._take(upper)
        return True

    async def wait(self, upper: Cost, who: str) -> None:
        """Reserve `upper` for teacher `who` as soon as requests in flight give enough back, in order of asking.

        TeacherError, in one sentence, when it cannot fit any more whatever they give back.
        """
        waiter = _Waiter(upper, who, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        if self not in self._queues:
            self._queues.append(self)
        self._wake()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if not waiter.granted.cancelled() and waiter.granted.exception() is None:
                self.settle(upper, NOTHING)  # granted at the moment of the cancellation
            self._wake()  # those behind it may fit
            raise

    def settle(self, upper: Cost, actual: Cost) -> None:
        """End a request that was reserved with `upper`: it cost `actual`; the rest is given back."""
        for one in self.chain:
            one.spent = _sum(one.spent, actual)
        if self.is_limited:
            self._give_back(upper)
            for queue in tuple(self._queues):
                queue._wake()

    def said(self) -> str:
        """What is spent of each limit, for a person; empty without limits."""
        pairs = zip(KINDS, self.spent, self._limits, strict=True)
        parts = [f"{_shown(k, have)} of {_shown(k, limit)} {UNITS[k]}" for k, have, limit in pairs if limit is not None]
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Limits, spending and what stopped it, as plain data; a limit that is not set is None."""
        limits = dict(zip(KINDS, self._limits, strict=True))
        return {"limits": limits, "spent": self.spent._asdict(), "stopped": self.stopped}

    def _fits(self, upper: Cost) -> bool:
        return not any(_passed(one._limits, _sum(one.spent, one._reserved), upper) for one in self.chain)

    def _take(self, upper: Cost) -> None:
        for one in self.chain:
            one._reserved = _sum(one._reserved, upper)
            one._num_in_flight += 1

    def _give_back(self, upper: Cost) -> None:
        for one in self.chain:
            one._num_in_flight -= 1
            have = one._reserved
            left = Cost(have.usd - upper.usd, have.tokens - upper.tokens, have.requests - upper.requests)
            one._reserved = left if one._num_in_flight else NOTHING  # sums of floats leave crumbs

    def _wake(self) -> None:
        """Grant or refuse the waiters from the first on, up to one who may still come to fit."""
        while self._waiting:
            waiter = self._waiting[0]
            if not waiter.granted.done():
                if self._fits(waiter.upper):
                    self._take(waiter.upper)
                    waiter.granted.set_result(None)
                elif error := self._refusal(waiter):
                    waiter.granted.set_exception(error)
                else:
                    return
            self._waiting.popleft()
        if self in self._queues:
            self._queues.remove(self)

    def _refusal(self, waiter: _Waiter) -> TeacherError | None:
        """Why a waiter can never fit; None while it may. What is spent never comes back."""
        for one in self.chain:
            for kind in _passed(one._limits, one.spent, waiter.upper):
                one.stopped = one._sentence(KINDS.index(kind), waiter)
                return TeacherError(one.stopped)
        return None

    def _sentence(self, index: int, waiter: _Waiter) -> str:
        kind, limit = KINDS[index], self._limits[index]
        spent, limit, upper = (_shown(kind, amount or 0) for amount in (self.spent[index], limit, waiter.upper[index]))
        return (
            f"budget: {spent} of {limit} {UNITS[kind]} are spent in this run, and the next request to teacher "
            f"{waiter.who!r} may take {upper}, so it is not sent; every reply is kept: raise {kind} in "
            f"[{self.name}] and run again to go on from here"
        )


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(one.usd + other.usd, one.tokens + other.tokens, one.requests + other.requests)


def _passed(limits: tuple[float | None, int | None, int | None], taken: Cost, upper: Cost) -> list[str]:
    """The limits that `upper` on top of `taken` would pass; what costs nothing of a kind passes none of it."""
    return [
        kind
        for kind, limit, have, more in zip(KINDS, limits, taken, upper, strict=True)
        if limit is not None and more > 0 and have + more > limit + ROUNDING
    ]


def _shown(kind: str, amount: float) -> str:
    if kind != "usd":
        return f"{amount:,}"
    return f"{amount:.2f}" if amount >= 1 or not amount else f"{amount:.4g}"
