"""The garbage collector while a flow runs: seldom, and over nothing that was there before."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (10_000, 10, 10)
"""`gc.set_threshold` while records are made.

Python's own (700, 10, 10) takes a sixth of a run's CPU: hundreds of records at work outlive every look at
the young, and push them into looks at everything (docs/log.md).
"""


@contextmanager
def seldom_swept() -> Generator[None]:
    """Collect seldom inside the block, and never what was made before it.

    Does nothing where another flow of this process does so already.
    """
    if gc.get_freeze_count():
        yield
        return
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
