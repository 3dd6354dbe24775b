"""A run's own record, `runs/<UTC time>-<pid>.json` in the corpus: what it asked, spent and came to."""

import json
import os
import platform
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from corpus.layout import RUNS
from corpus.store.local import make_folder
from corpus.store.writing import writing
from flows.progress import Watcher
from flows.report import spent_by
from schemas.errors import PipelineError

WRITE_S: Final = 5.0
"""How old the record of a run may be, in seconds: so much of its end a killed run takes with it."""

LOST_S: Final = 4 * WRITE_S
"""A record without an end that is older than this, in seconds, is of a run that was killed."""

INTERRUPTED: Final = 130
"""What Ctrl-C ends with, as shells have it."""


class RunRecord:
    """A view that writes the run down: at once, every `WRITE_S` seconds and when it ends.

    It holds names, numbers and the meters' notes: no prompt, no reply, no key, and of an error its kind.
    """

    def __init__(self, root: Path, command: str, flows: Sequence[str], config: str) -> None:
        self._head = {
            "command": command,
            "flows": list(flows),
            "config": str(Path(config).resolve()),
            "host": platform.node(),
            "pid": os.getpid(),
        }
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.path = root / RUNS / f"{stamp}-{os.getpid()}.json"
        self._written = -WRITE_S

    def __call__(self, watcher: Watcher) -> None:
        """Write it down when the last time is long enough ago; a full disk is for the corpus to report."""
        if time.monotonic() - self._written >= WRITE_S:
            with suppress(OSError):
                self._write(watcher, None, "")

    @contextmanager
    def of(self, watcher: Watcher) -> Generator[None]:
        """Write it at the start of the block and, with how it ended, at its end. CorpusError when it cannot be."""
        with writing(str(self.path.parent)):
            make_folder(self.path.parent)
            self._write(watcher, None, "")
        watcher.views.append(self)
        try:
            yield
        except BaseException as error:
            with suppress(OSError):
                self._write(watcher, exit_code(error), type(error).__name__)
            raise
        with writing(str(self.path.parent)):
            self._write(watcher, 0, "")

    def _write(self, watcher: Watcher, exit_: int | None, error: str) -> None:
        now = time.time()
        ended = None if exit_ is None else now
        times = {"started": watcher.began, "updated": now, "ended": ended, "exit": exit_, "error": error}
        data = json.dumps({**self._head, **times, **as_data(watcher)}, indent=1).encode()
        staged = self.path.with_suffix(".tmp")
        staged.write_bytes(data)
        staged.replace(self.path)
        self._written = time.monotonic()


def exit_code(error: BaseException) -> int:
    """What a command that ends with this error exits with."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_code if isinstance(error, PipelineError) else 1


def as_data(watcher: Watcher) -> dict[str, Any]:
    """What the run has done as plain data: records, teachers and budgets by name, and who was asked for what."""
    states = watcher.flows.values()
    return {
        "records": {
            state.flow: {
                "records": state.num_records,
                "settled": state.num_settled,
                "kept": state.num_kept,
                "rejected": state.num_rejected,
            }
            for state in states
        },
        "asked": [asdict(spend) for spend in spent_by(watcher)],
        "teachers": {state.flow: {name: meter.as_dict() for name, meter in state.meters().items()} for state in states},
        "budgets": {one.name: one.as_dict() for state in states for one in reversed(state.budget.chain)},
    }


def read_runs(root: Path, num: int) -> list[dict[str, Any]]:
    """The last `num` records, oldest first; one that cannot be read (the disk was full) is left out."""
    found: list[dict[str, Any]] = []
    for path in sorted((root / RUNS).glob("*.json"), reverse=True)[:num]:
        with suppress(OSError, ValueError):
            found.append({"name": path.stem, **json.loads(path.read_bytes())})
    return found[::-1]


def state_of(run: dict[str, Any]) -> str:
    """How a run stands: `done`, `exit 4 TeacherError`, `running` or `killed`."""
    if run["exit"] is None:
        return "running" if time.time() - run["updated"] < LOST_S else "killed"
    return "done" if run["exit"] == 0 else f"exit {run['exit']} {run['error']}"
