"""Real processes as /proc shows them: who is below whom, and who is still there."""

import asyncio
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path


def below(pid: int | None = None) -> dict[int, str]:
    """The processes below `pid` (None: us) with their command lines, the nearest first."""
    parents = {child: parent for child in _pids() if (parent := _parent(child)) is not None}
    found: dict[int, str] = {}
    layer = {os.getpid() if pid is None else pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found.update({child: _command(child) for child in layer})
    # what multiprocessing keeps for other tests is nobody's server
    return {child: words for child, words in found.items() if "multiprocessing" not in words}


def gone(pids: Collection[int], within_s: float = 20.0) -> bool:
    """Whether all of them have ended (a zombie has) before so many seconds are over."""
    deadline = time.monotonic() + within_s
    while left := [pid for pid in pids if _parent(pid) is not None]:
        if time.monotonic() > deadline:
            print("still there:", {pid: _command(pid) for pid in left})
            return False
        time.sleep(0.02)
    return True


async def comes_true(what: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until `what()` is true; TimeoutError after so many seconds."""
    async with asyncio.timeout(within_s):
        while not what():  # noqa: ASYNC110  (what other processes do sets no event of ours)
            await asyncio.sleep(0.02)


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _parent(pid: int) -> int | None:
    """The parent of a process; None when it has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
