"""Where the processor's time goes: a timer that notes, once a millisecond of CPU, what the main thread is doing."""

import signal
import sys
import threading
import time
from collections import Counter
from types import FrameType
from typing import Final

PERIOD_S: Final = 0.001
"""Seconds of CPU between two looks."""

PARTS: Final = (
    ("generators/prompt.py", "render"),
    ("jinja2", "render"),
    ("generators/templates.py", "render"),
    ("generators/reply.py", "schema check"),
    ("generators/checking.py", "schema check"),
    ("generators/shape.py", "schema check"),
    ("jsonschema", "schema check"),
    ("generators/", "generator"),
    ("benchmarks/describe.py", "generator"),
    ("teachers/replay/keys.py", "key"),
    ("teachers/replay/", "log"),
    ("teachers/wire/completion.py", "wire"),
    ("teachers/wire/client.py", "wire"),
    ("teachers/wire/transport.py", "wire"),
    ("teachers/wire/structured.py", "wire"),
    ("aiohttp", "wire"),
    ("openai", "wire"),
    ("httpx", "wire"),
    ("teachers/", "ask"),
    ("flows/stamping.py", "stamp"),
    ("schemas/sample.py", "stamp"),
    ("sources/tagging", "tags"),
    ("sources/", "read"),
    ("corpus/", "write"),
    ("flows/", "flow"),
    ("asyncio/", "event loop"),
    ("selectors.py", "event loop"),
)
"""Part of a path -> part of the work; the innermost frame that any of them fits decides."""


class Profile:
    """A sampling profile of the block: `seconds` by part of the work."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.places: Counter[tuple[str, str]] = Counter()
        self._began = self._ended = 0.0

    def __enter__(self) -> "Profile":
        self._began = time.process_time()
        signal.signal(signal.SIGPROF, self._note)
        signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._ended = time.process_time()

    def seconds(self) -> dict[str, float]:
        """CPU seconds by part; the kernel may tick less often than asked, so ticks are shares of the whole."""
        each = (self._ended - self._began) / max(1, self.parts.total())
        return {part: count * each for part, count in self.parts.most_common()}

    def print_hottest(self, count: int = 60) -> None:
        """The lines that cost most, with their part, in ticks."""
        for (part, place), ticks in self.places.most_common(count):
            print(f"{ticks:6} {part:14} {place}", file=sys.stderr)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "select":  # the main thread sleeps: another one is at work
            others = [one for ident, one in sys._current_frames().items() if ident != threading.get_ident()]
            frame = next((one for one in others if _is_busy(one)), frame)
        part, place = _part_of(frame)
        self.parts[part] += 1
        self.places[part, place] += 1


def _is_busy(frame: FrameType) -> bool:
    return frame.f_code.co_name not in ("wait", "select", "_worker", "get")


def _part_of(frame: FrameType | None) -> tuple[str, str]:
    """The part of the work, and the innermost place, of a stack."""
    place = f"{frame.f_code.co_filename[-60:]}:{frame.f_code.co_name}:{frame.f_lineno}" if frame else "?"
    while frame is not None:
        path = frame.f_code.co_filename
        for fragment, part in PARTS:
            if fragment in path:
                return part, place
        frame = frame.f_back
    return "other", place
