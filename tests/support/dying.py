"""A process that dies right before its N-th system call that changes a folder: its parent traces it (ptrace)."""

import ctypes
import os
import platform
import signal
import struct
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
OPTIONS = 0x100000 | 1
"""PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD (linux/ptrace.h)."""
ENTRY = 1
"""PTRACE_SYSCALL_INFO_ENTRY."""
CREATING = os.O_CREAT | os.O_TRUNC

CALLS = {
    "x86_64": {
        1: "write", 18: "write", 20: "write", 74: "fsync", 75: "fsync", 77: "write", 82: "rename", 83: "mkdir",
        84: "rmdir", 86: "link", 87: "unlink", 257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat",
        265: "linkat", 316: "renameat",
    },
    "aarch64": {
        34: "mkdirat", 35: "unlinkat", 37: "linkat", 38: "renameat", 46: "write", 56: "openat", 64: "write",
        66: "write", 68: "write", 82: "fsync", 83: "fsync", 276: "renameat",
    },
}  # fmt: skip
"""System calls that change files, by their numbers (asm/unistd.h)."""


@dataclass(frozen=True)
class Call:
    """A system call that changes a file or a name: `open` (to create), `write`, `fsync`, `rename`, `link`, `unlink`,
    `mkdir` or `rmdir`, and the paths that it is about."""

    name: str
    paths: tuple[str, ...]


def run_until(work: Callable[[], object], root: Path, num: int | None = None) -> list[Call]:
    """Fork, do `work`, and `kill -9` before the call number `num` below `root` (0 for the first; None: never).

    Returns the calls below `root` that were made. Only the main thread's count.
    """
    calls = CALLS.get(platform.machine())
    if calls is None:
        pytest.skip(f"no table of system calls for {platform.machine()}")
    child = os.fork()
    if child == 0:
        _work(work)
    _wait_for_stop(child)
    made: list[Call] = []
    deliver = 0
    while True:
        _ptrace(SYSCALL, child, 0, deliver)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return made
        deliver = 0 if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80 else os.WSTOPSIG(status)
        call = None if deliver else _call(child, calls)
        if call is None or not any(Path(path).is_relative_to(root) for path in call.paths):
            continue
        if len(made) == num:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return made
        made.append(call)


def _work(work: Callable[[], object]) -> None:
    code = 1
    try:
        _ptrace(TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait_for_stop(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        pytest.skip("this machine does not let a process trace its child")
    _ptrace(SETOPTIONS, child, 0, OPTIONS)


def _call(child: int, calls: dict[int, str]) -> Call | None:
    """The call that the child is about to make; None for one that changes nothing, or on its way back."""
    info = ctypes.create_string_buffer(88)
    _ptrace(GET_SYSCALL_INFO, child, len(info), ctypes.addressof(info))
    operation, number, *args = struct.unpack_from("<B23xQ6Q", info.raw)
    name = calls.get(number) if operation == ENTRY else None
    if name is None or (name == "openat" and not args[2] & CREATING):
        return None
    if name in ("write", "fsync"):
        return Call(name, (_path_of(child, args[0]),))
    where = [1, 3] if name.endswith("at") else [0, 1]
    name = "rmdir" if name == "unlinkat" and args[2] else name.removesuffix("at")
    num_paths = 2 if name in ("rename", "link") else 1
    return Call(name, tuple(_text(child, args[index]) for index in where[:num_paths]))


def _path_of(child: int, handle: int) -> str:
    try:
        return str(Path(f"/proc/{child}/fd/{handle}").readlink())
    except FileNotFoundError:
        return ""


def _text(child: int, address: int) -> str:
    with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # not a file of a folder
        memory.seek(address)
        return memory.read(4096).split(b"\0")[0].decode()


def _ptrace(request: int, child: int, address: int, data: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, child, address, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
