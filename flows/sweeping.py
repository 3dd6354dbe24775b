"""Memory while a flow runs: collected seldom, nothing that was there before, and from few arenas."""

import ctypes
import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (10_000, 10, 10)
"""`gc.set_threshold` while records are made.

Python's own (700, 10, 10) takes a sixth of a run's CPU: hundreds of records at work outlive every look at
the young, and push them into looks at everything (docs/log.md).
"""

M_ARENA_MAX: Final = -8
"""glibc's name for how many arenas its allocator may make (malloc.h)."""

NUM_ARENAS: Final = 2
"""With an arena for each thread a run's peak grew from 257 MB at 10,000 records to 327 at 200,000 (docs/log.md)."""


def few_arenas() -> None:
    """Keep glibc from an arena per thread, which never gives back what a task once needed; elsewhere nothing."""
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, NUM_ARENAS)
    except (OSError, AttributeError):
        return


@contextmanager
def seldom_swept() -> Generator[None]:
    """Collect seldom inside the block, and never what was made before it.

    Does nothing where another flow of this process does so already.
    """
    if gc.get_freeze_count():
        yield
        return
    few_arenas()
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
