"""Keeps a server for as long as the run lives: `keeper.py grace_s program argument ...`, with a pipe as standard input.

A process of its own, because a run that is killed by `kill -9` cannot stop anything. The server and
everything it starts are ended (SIGTERM, then SIGKILL after `grace_s` seconds) when the pipe closes, when the
run is no longer our parent (a forked child of it may hold the pipe open), when the server ends by itself, or
when we are told to end. It ends with the server's exit code; 128 + n for signal n, as a shell does.

It imports nothing of the project, so that it starts in a few hundredths of a second.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Final

SUBREAPER: Final = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>: orphans below us become our children, so none gets away."""

DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of <linux/prctl.h>: what a process is sent when its parent dies."""

CANNOT_RUN: Final = 126
"""The exit code of a program that cannot be executed, as in a shell."""

LOOK_S: Final = 1.0
"""How often the parent is looked at, in seconds; the pipe and the server's end are noticed at once."""

STEP_S: Final = 0.05
"""How often ending processes are looked at, in seconds."""


def main() -> int:
    """Run the command, and end it with the run; its exit code."""
    grace_s, command = float(sys.argv[1]), sys.argv[2:]
    parent, wakes = os.getppid(), _wake_on_signals()
    _prctl(SUBREAPER, 1)
    try:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_keeper
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_RUN
    while server.poll() is None and os.getppid() == parent:
        ready, _, _ = select.select([0, wakes], [], [], LOOK_S)
        if 0 in ready or (wakes in ready and _is_told_to_end(wakes)):
            break
    code = server.returncode or 0  # None when it was ended by us
    _end(server.pid, grace_s)
    return code if code >= 0 else 128 - code


def _wake_on_signals() -> int:
    """A file descriptor that becomes readable at a signal: one byte, its number."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _note)
    return reader


def _note(number: int, frame: FrameType | None) -> None:
    """Nothing to do: the signal's number is in the pipe already."""


def _is_told_to_end(wakes: int) -> bool:
    return any(number != signal.SIGCHLD for number in os.read(wakes, 4_096))


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere a process that leaves its group outlives us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with_keeper() -> None:
    """In the server before it is executed: `kill -9` of the keeper is its end too."""
    _prctl(DEATH_SIGNAL, signal.SIGKILL)


def _end(group: int, grace_s: float) -> None:
    """End every process below us: SIGTERM, then SIGKILL to what is left after `grace_s` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        told: set[int] = set()
        deadline = time.monotonic() + grace_s
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
            os.killpg(group, number)
        while time.monotonic() < deadline:
            if _are_all_gone():
                return
            for child in _children() - told:
                told.add(child)
                with suppress(ProcessLookupError):
                    if os.getpgid(child) != group:  # twice is once too often: servers take it for impatience
                        os.kill(child, number)
            time.sleep(STEP_S)


def _are_all_gone() -> bool:
    """Whether we have no child left; the ended ones are collected."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _children() -> set[int]:
    """Our children now: orphans that left the server's process group are among them."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123  (pathlib takes as long as we do)
            return set(map(int, file.read().split()))
    except OSError:
        return set()


if __name__ == "__main__":
    sys.exit(main())
