"""Everything that watches a command that asks teachers: display, record, metrics, budget."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from flows.live import Bars
from flows.plan import Plan
from flows.progress import WATCHER, Watcher
from flows.run_record import RunRecord
from flows.running import BUDGET, run_budget


@contextmanager
def watched(
    plan: Plan,
    command: str,
    config: str,
    console: Console,
    port: int | None = None,
    file: Path | None = None,
) -> Generator[Watcher]:
    """The watcher of a run under one budget, for as long as the block lasts."""
    watcher = Watcher()
    with ExitStack() as stack:
        _open_metrics(watcher, console, port, file, stack)
        record = RunRecord(plan.root, command, [flow.flow for flow in plan.flows], config)
        stack.enter_context(record.of(watcher))
        watcher.views.append(stack.enter_context(Bars(console)))
        WATCHER.set(watcher)
        BUDGET.set(run_budget(plan))
        yield watcher


def _open_metrics(watcher: Watcher, console: Console, port: int | None, path: Path | None, stack: ExitStack) -> None:
    if port is None and path is None:
        return
    from flows.metrics import MetricsFile, serving

    if port is not None:
        url = stack.enter_context(serving(watcher, port))
        console.print(f"metrics at {url}", highlight=False, soft_wrap=True)
    if path is not None:
        file = MetricsFile(watcher, path)
        file.write()
        stack.callback(file.write)
        watcher.views.append(file)
