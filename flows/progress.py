"""Watching a run: one live bar per flow on a terminal, quiet lines elsewhere."""

from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schemas.task import Tally


class Watcher(Protocol):
    """Told of every record as it is settled."""

    def begin(self, flow: str, num_records: int) -> None:
        """A flow starts, with this many records to go."""
        ...

    def record(self, flow: str, tally: Tally) -> None:
        """One record of the flow is settled."""
        ...

    def end(self, flow: str) -> None:
        """The flow has no record left."""
        ...


class Nobody:
    """A watcher that looks away."""

    def begin(self, flow: str, num_records: int) -> None:
        """Nothing."""

    def record(self, flow: str, tally: Tally) -> None:
        """Nothing."""

    def end(self, flow: str) -> None:
        """Nothing."""


class Bars:
    """A bar per flow: records settled, samples kept, requests asked."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("kept {task.fields[kept]}  asked {task.fields[asked]}  tokens {task.fields[tokens]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._seen: dict[str, Tally] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, flow: str, num_records: int) -> None:
        """Show a new bar."""
        self._seen[flow] = Tally("", "")
        self._bars[flow] = self._progress.add_task(flow, total=num_records, kept=0, asked=0, tokens=0)

    def record(self, flow: str, tally: Tally) -> None:
        """Move the flow's bar."""
        seen = self._seen[flow]
        seen.num_kept += tally.num_kept
        seen.num_requests += tally.num_requests
        seen.completion_tokens += tally.completion_tokens
        self._progress.update(
            self._bars[flow],
            advance=1,
            kept=seen.num_kept,
            asked=seen.num_requests,
            tokens=seen.completion_tokens,
        )

    def end(self, flow: str) -> None:
        """Fill the flow's bar."""
        self._progress.stop_task(self._bars[flow])


WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Who watches the run under way; set by the command line, read by the flows' shared body."""
