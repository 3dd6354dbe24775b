"""What asking costs: counters per stream of asks, and the budget that stops a run."""

from dataclasses import dataclass

from schemas.ask import Reply
from schemas.errors import TeacherError
from schemas.pipeline import Price


@dataclass(slots=True)
class Usage:
    """Counters of one stream of asks.

    `num_requests` counts every answered request, `num_replayed` those of them answered from a kept
    reply. Tokens and `usd` count what was paid now: a replayed reply adds nothing to them.
    """

    num_requests: int = 0
    num_replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0

    def replayed(self) -> None:
        """Count a request that a kept reply answered."""
        self.num_requests += 1
        self.num_replayed += 1

    def paid(self, reply: Reply, usd: float) -> None:
        """Count a request that the teacher answered."""
        self.num_requests += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        self.usd += usd


class Budget:
    """The limit of a whole run, shared by its teachers; `usd` None never stops.

    Replies in flight when the limit is passed are kept and counted, so a run may pass it by their cost.
    """

    __slots__ = ("limit", "spent")

    def __init__(self, usd: float | None = None) -> None:
        self.limit = usd
        self.spent = 0.0

    def check(self, name: str, price: Price) -> None:
        """TeacherError when nothing is left for a teacher that costs money."""
        is_free = price.input == 0 and price.output == 0
        if self.limit is None or is_free or self.spent < self.limit:
            return
        raise TeacherError(
            f"budget: {self.spent:.2f} of {self.limit:.2f} US dollars are spent, so teacher {name!r} is "
            "asked nothing more; every reply is kept: raise usd in [budget] and run again to go on from here"
        )

    def spend(self, usd: float) -> None:
        """Add what a reply cost."""
        self.spent += usd


def cost(reply: Reply, price: Price) -> float:
    """US dollars of one reply; prices are per million tokens."""
    return (reply.prompt_tokens * price.input + reply.completion_tokens * price.output) / 1e6
