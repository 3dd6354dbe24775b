"""What asking costs, and the budget that stops a run."""

from schemas.ask import Reply
from schemas.errors import TeacherError
from schemas.pipeline import Price


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
