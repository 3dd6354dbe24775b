"""Requests and forks keep out of each other's way: a child of a process amid a request could never make one."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

PATIENCE_S: Final = 60.0
"""How long a fork waits for running requests, in seconds: longer than the AWS SDK lets one take."""


class _Gate:
    """How many requests run. The S3 client holds locks while one does, and a fork would copy them, locked."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.num_running = 0

    def close(self) -> None:
        """Let no request begin, and wait for those that run."""
        self.changed.acquire()
        self.changed.wait_for(lambda: self.num_running == 0, PATIENCE_S)

    def open(self) -> None:
        """Let requests begin."""
        self.changed.release()


_gate = _Gate()


@contextmanager
def requesting() -> Generator[None, None, None]:
    """A request runs in the body: a fork waits for its end."""
    gate = _gate
    with gate.changed:
        gate.num_running += 1
    try:
        yield
    finally:
        with gate.changed:
            gate.num_running -= 1
            gate.changed.notify_all()


def _new_gate() -> None:
    global _gate
    _gate = _Gate()


os.register_at_fork(before=lambda: _gate.close(), after_in_parent=lambda: _gate.open(), after_in_child=_new_gate)
