"""The live display of a run: a bar per flow and a line per teacher on a terminal, the last state elsewhere."""

import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from flows.progress import FlowState, Watcher
from teachers.meter import Meter

RATE_S: Final = 10.0
"""Requests per second are those of so many last seconds."""

MAX_CAUSES: Final = 3
"""Causes of retries that a teacher's line names, most frequent first."""


class Rate:
    """Requests per second that a server answered lately."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, num: int, now: float) -> float:
        """The rate when `num` requests are answered at the monotonic time `now`."""
        self._seen.append((now, num))
        while now - self._seen[0][0] > RATE_S:
            self._seen.popleft()
        began, before = self._seen[0]
        return (num - before) / (now - began) if now > began else 0.0


class Bars:
    """A view: per flow its records, samples, tokens and money; per teacher how it is doing, and its last note."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            auto_refresh=False,
        )
        self._live = Live(Group(self._progress), console=console, auto_refresh=False)
        self._console = console
        self._is_seen = console.is_terminal  # elsewhere nothing is drawn before the end
        self._bars: dict[str, TaskID] = {}
        self._rates: dict[tuple[str, str], Rate] = {}

    def __enter__(self) -> "Bars":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if not self._is_seen:
            self._console.print()  # rich ends the last line on terminals only

    def __call__(self, watcher: Watcher) -> None:
        """Draw the run as it is."""
        for state in watcher.flows.values():
            self._move(state)
        going = [state for state in watcher.flows.values() if not state.ended]
        teachers = _grid(line for state in going for line in self._lines(state))
        budgets = {one.name: one.said() for state in going for one in state.budget.chain}
        spent = [f"  [{name}] {said}" for name, said in budgets.items() if said]
        notes = [f"  {name}: {meter.notes[-1]}" for one in going for name, meter in one.meters().items() if meter.notes]
        # Text, because a budget's name is in brackets and brackets are markup
        self._live.update(Group(self._progress, teachers, *map(Text, spent + notes)), refresh=self._is_seen)

    def _move(self, state: FlowState) -> None:
        if state.flow not in self._bars:
            self._bars[state.flow] = self._progress.add_task(state.flow, total=state.num_records, said="")
        bar = self._bars[state.flow]
        self._progress.update(bar, completed=state.num_settled, said=said_of(state))
        if state.ended:
            self._progress.stop_task(bar)

    def _lines(self, state: FlowState) -> Iterable[tuple[str, ...]]:
        now = time.monotonic()
        for name, meter in state.meters().items():
            num_answered = meter.num_requests - meter.num_replayed
            rate = self._rates.setdefault((state.flow, name), Rate()).of(num_answered, now)
            if num_answered or meter.in_flight or meter.retries or meter.num_refused:
                yield (f"  {name}", *texts_of(meter, rate))


def said_of(state: FlowState) -> str:
    """What a flow's bar says beside its records."""
    meters = state.meters().values()
    asked = sum(meter.num_requests + meter.num_refused - meter.num_replayed for meter in meters)
    tokens = sum(meter.prompt_tokens + meter.completion_tokens for meter in meters)
    said = f"kept {state.num_kept:,}  asked {asked:,}  tokens {tokens:,}"
    return f"{said}  ${state.usd:,.2f}" if state.usd else said


def texts_of(meter: Meter, rate: float) -> tuple[str, ...]:
    """A teacher's line: in flight of its limit, requests per second, latency, endpoints, retries by cause, money."""
    p50, p95 = (meter.latency.quantile(share) for share in (0.5, 0.95))
    causes = ", ".join(f"{cause} {count:,}" for cause, count in meter.retries.most_common(MAX_CAUSES))
    return (
        f"in flight {meter.in_flight}/{meter.limit}",
        f"{rate:.1f}/s",
        f"p50 {_seconds(p50)} p95 {_seconds(p95)}",
        f"endpoints {meter.num_healthy}/{meter.num_endpoints}" if meter.num_endpoints else "",
        f"retries {causes}" if causes else "",
        f"refused {meter.num_refused:,}" if meter.num_refused else "",
        f"${meter.usd:,.2f}" if meter.usd else "",
        "drifted" if meter.drift else "",
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _grid(lines: Iterable[tuple[str, ...]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for line in lines:
        grid.add_row(*line)
    return grid
