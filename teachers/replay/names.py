"""Where kept replies are: folders by source and block of records, files by who wrote them and when."""

import hashlib
import secrets
import time
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

MAX_NAME: Final = 120
"""Longest folder name made of a source or a shard, in bytes; file systems end at 255."""

REPLIES: Final = "replies"
"""The folder of all kept replies, below the corpus folder."""

LINES: Final = ".jsonl"
"""Lines as they came: a writer's file, or a segment of one that was fetched from the mirror."""

TABLE: Final = ".arrow"
"""Compacted replies; never changes under a reader, is replaced whole."""

UNSENT: Final = ".unsent"
"""Lines that are compacted already and wait for the mirror; they answer nothing."""

PARTIAL: Final = ".partial"
"""A file that is being made; it answers nothing."""


class Span(NamedTuple):
    """Bytes `start` to `stop` of what one writer wrote."""

    writer: str
    start: int
    stop: int

    def holds(self, other: "Span") -> bool:
        """Whether every byte of `other` is in this one."""
        return self.writer == other.writer and self.start <= other.start and other.stop <= self.stop


def folder_of(root: Path, source: str, shard: str) -> Path:
    """Where the logs of one shard of one source are, below the corpus folder `root`."""
    return root / REPLIES / _safe(source) / _safe(shard)


def block_folders(root: Path) -> list[Path]:
    """The folders of all blocks below the corpus folder `root`; what starts with a dot is not a source's."""
    found = (root / REPLIES).glob("[!.]*/[!.]*")
    return sorted(folder for folder in found if folder.is_dir())


def block_of(folder: Path) -> str:
    """A block's prefix in a mirror."""
    return f"{folder.parent.name}/{folder.name}"


def new_writer() -> str:
    """A name that no other writer has: 24 hex characters that sort by the time they were made."""
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


def segment_name(span: Span) -> str:
    """The file that a fetched segment becomes."""
    return f"{span.writer}-{span.start:012d}{LINES}"


def span_of(path: Path, size: int) -> Span:
    """What a file of lines of so many bytes holds."""
    writer, _, start = path.stem.partition("-")
    return Span(writer, int(start or 0), int(start or 0) + size)


def age_rank(path: Path) -> tuple[str, str]:
    """Sorts a block's files by when their writers began: the first reply to a request counts."""
    return path.name.partition(".")[0], path.suffix


def _safe(name: str) -> str:
    """A folder name that is unique to `name` and means nothing to a file system."""
    safe = quote(name, safe=" ").replace(".", "%2E") or "%"
    if len(safe) <= MAX_NAME:
        return safe
    return f"{safe[: MAX_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
