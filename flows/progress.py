"""What a run has done so far: counted record by record, shown to whoever watches a few times a second."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from schemas.task import Tally
from teachers.budget import Budget
from teachers.meter import Meter

TICK_S: Final = 0.25
"""How often those who watch are shown the run, in seconds: drawing a display takes milliseconds."""

Meters = Callable[[], Mapping[str, Meter]]
"""The meters of a flow's teachers by name, as they are now: a fallback appears when it is first asked."""


@dataclass(slots=True)
class FlowState:
    """One flow of the run: its records to go, what became of them, who is asked and what may be spent."""

    flow: str
    num_records: int
    budget: Budget
    meters: Meters = field(default=dict[str, Meter])
    num_settled: int = 0
    num_kept: int = 0
    num_rejected: int = 0
    ended: bool = False

    @property
    def usd(self) -> float:
        """US dollars that the flow has cost in this run."""
        return sum(meter.usd for meter in self.meters().values())


View = Callable[["Watcher"], None]
"""Shows or writes down the run as it is; called a few times a second and once at the end."""


class Watcher:
    """Told of every record as it is settled; `views` are shown the sums.

    `began` is in seconds since 1970, for people.
    """

    def __init__(self, *views: View) -> None:
        self.began = time.time()
        self.flows: dict[str, FlowState] = {}
        self.views = list(views)

    def begin(self, flow: str, num_records: int, budget: Budget | None = None) -> None:
        """A flow starts, with this many records to go and this budget."""
        self.flows[flow] = FlowState(flow, num_records, budget or Budget())

    def opened(self, flow: str, meters: Meters) -> None:
        """The flow's teachers are open."""
        self.flows[flow].meters = meters

    def record(self, flow: str, tally: Tally) -> None:
        """One record of the flow is settled; called for each, so it only counts."""
        state = self.flows[flow]
        state.num_settled += 1
        state.num_kept += tally.num_kept
        if tally.rejected:
            state.num_rejected += sum(tally.rejected.values())

    def end(self, flow: str) -> None:
        """The flow has no record left."""
        self.flows[flow].ended = True

    def show(self) -> None:
        """Show everyone the run as it is."""
        for view in self.views:
            view(self)


@asynccontextmanager
async def ticking(watcher: Watcher) -> AsyncGenerator[None]:
    """Show the run every `TICK_S` seconds for as long as the block lasts, and once after it."""
    ticker = asyncio.create_task(_tick(watcher))
    try:
        yield
    finally:
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)
        watcher.show()


async def _tick(watcher: Watcher) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        watcher.show()


WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Who watches the run under way; set by the command line, read by the flows' shared body."""
