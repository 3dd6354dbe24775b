"""The mirror of kept replies: lines as they come, cut into sealed segments, in an object store."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from teachers.replay.holdings import sent_of
from teachers.replay.names import LINES, UNSENT, Span, block_of
from teachers.replay.segments import fetch_lacking, size_of, whole_lines
from teachers.replay.writer import is_written

TICK_S: Final = 0.25
"""Longest time between two looks at the files that are followed, in seconds."""

LONGEST_PAUSE_S: Final = 60.0
"""Longest time between two tries while the store is away, in seconds."""

PATIENCE_S: Final = 30.0
"""How long closing waits for the store to take what is left, in seconds."""


@dataclass(slots=True)
class _Feed:
    """A file of lines on its way to the store; `since` is when bytes beyond `sent` were first seen."""

    path: Path
    block: str
    sent: int = 0
    since: float | None = None
    is_finished: bool = False


class Mirror:
    """Copies the lines of followed files to an object store, from a thread of its own.

    A segment is sealed when `segment_bytes` are new, or when the oldest new line is `segment_s`
    seconds old: what a lost machine can cost. A store that is away stops nobody: the lines stay on
    disk, sending is tried again for ever, and `warning` says so. ConfigError for a wrong `url`.
    """

    def __init__(self, url: str, segment_bytes: int = 4 << 20, segment_s: float = 5.0) -> None:
        from teachers.replay.store import Store  # 20 ms to import, for those who have a mirror

        self._store = Store(url)
        self._segment_bytes = segment_bytes
        self._segment_s = segment_s
        self.num_segments = 0
        self.num_bytes = 0
        self.num_failures = 0
        self._feeds: dict[str, _Feed] = {}
        self._in_a_row = 0
        self._next_try = 0.0
        self._last_failure = ""
        self._is_closing = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reply-mirror", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def num_unsent_bytes(self) -> int:
        """Bytes of lines that are on this disk only."""
        with self._lock:
            return sum(max(0, size_of(feed.path) - feed.sent) for feed in self._feeds.values())

    def warning(self) -> str:
        """What a person should know when the store is away; empty when it is not."""
        if not self._in_a_row:
            return ""
        return (
            f"the mirror {self._store.url} takes nothing: {self._last_failure} ({self._in_a_row} failures in a row); "
            f"{self.num_unsent_bytes / 1e6:.1f} MB of kept replies are on this disk only, and are sent when it is back"
        )

    def open_block(self, folder: Path) -> None:
        """Fetch the segments that a block's folder lacks, and go on with what was left unsent.

        A store that is away is no error; CorpusError when this disk refuses.
        """
        if time.monotonic() < self._next_try:
            return
        try:
            segments = fetch_lacking(self._store, folder)
        except OSError as error:
            self._failed(error)
            return
        self._adopt(folder, segments)

    def follow(self, path: Path) -> None:
        """Send a new file's lines as they come."""
        with self._lock:
            self._feeds[str(path)] = _Feed(path, block_of(path.parent))

    def finish(self, paths: list[Path]) -> None:
        """No more lines come to these files: their last segments are sealed now."""
        with self._lock:
            for path in paths:
                if str(path) in self._feeds:
                    self._feeds[str(path)].is_finished = True
        self._wake.set()

    def retire(self, path: Path) -> None:
        """Take a compacted file away, at once or when its last line is sent. Raises OSError."""
        with self._lock:
            feed = self._feeds.pop(str(path), None)
            if feed is None or feed.sent >= size_of(path):
                path.unlink(missing_ok=True)
                return
            feed.path, feed.is_finished = path.rename(path.with_suffix(UNSENT)), True
            self._feeds[str(feed.path)] = feed
        self._wake.set()

    def close(self) -> None:
        """Send what is left, for at most `PATIENCE_S`; what the store does not take stays on disk."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(PATIENCE_S)

    def _adopt(self, folder: Path, segments: list[Span]) -> None:
        """Follow the files of processes that ended before they had sent everything."""
        for path in [*folder.glob(f"*{LINES}"), *folder.glob(f"*{UNSENT}")]:
            with self._lock:
                if "-" in path.stem or str(path) in self._feeds or is_written(path):
                    continue
                feed = _Feed(path, block_of(folder), sent_of(path.stem, segments), is_finished=True)
                self._feeds[str(path)] = feed
        self._wake.set()

    def _run(self) -> None:
        tick = min(TICK_S, self._segment_s / 2)
        while not self._is_closing:
            self._wake.wait(tick)
            self._wake.clear()
            if time.monotonic() >= self._next_try:
                self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        """Seal and send whatever is due; stops at the first refusal."""
        with self._lock:
            feeds = list(self._feeds.values())
        try:
            for feed in feeds:
                while self._is_due(feed) and self._send(feed):
                    pass
        except OSError as error:
            self._failed(error)

    def _is_due(self, feed: _Feed) -> bool:
        num_new = size_of(feed.path) - feed.sent
        if num_new <= 0:
            feed.since = None
            if feed.is_finished:
                self._drop(feed)
            return False
        if feed.since is None:
            feed.since = time.monotonic()
        is_old = time.monotonic() - feed.since >= self._segment_s
        return is_old or num_new >= self._segment_bytes or feed.is_finished or self._is_closing

    def _send(self, feed: _Feed) -> bool:
        """Seal and send one segment; False when there is no whole line yet. Raises OSError."""
        with self._lock:
            path = feed.path
        try:
            data = whole_lines(path, feed.sent, self._segment_bytes)
        except FileNotFoundError:
            return False  # renamed or collected since: the next look sees which
        if not data:
            if feed.is_finished:  # a torn tail, which nobody will complete
                self._drop(feed)
            return False
        feed.sent = self._store.put(feed.block, path.stem, feed.sent, data)
        feed.since = None
        self.num_segments += 1
        self.num_bytes += len(data)
        self._in_a_row = 0
        return True

    def _drop(self, feed: _Feed) -> None:
        """A feed that has nothing more to send; what was kept for the store alone goes."""
        with self._lock:
            self._feeds.pop(str(feed.path), None)
            if feed.path.suffix == UNSENT:
                feed.path.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> None:
        self.num_failures += 1
        self._in_a_row += 1
        self._last_failure = str(error)
        self._next_try = time.monotonic() + min(LONGEST_PAUSE_S, 2.0 ** min(self._in_a_row - 1, 6))
