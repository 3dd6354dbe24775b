"""Which bytes of which writers a block's files hold, whether as lines or compacted."""

from contextlib import closing
from pathlib import Path

from teachers.replay.names import LINES, TABLE, UNSENT, Span, span_of
from teachers.replay.table import Table


def spans_in(path: Path) -> list[Span]:
    """What one file holds; nothing for a file that vanished, is damaged or answers nothing."""
    try:
        if path.suffix in (LINES, UNSENT):
            return [span_of(path, path.stat().st_size)]
        if path.suffix == TABLE:
            with closing(Table(path)) as table:
                return table.spans()
    except (OSError, ValueError, KeyError):
        return []
    return []


def spans_below(folder: Path) -> list[Span]:
    """What all files of a block hold; a missing folder holds nothing."""
    return [span for path in sorted(folder.glob("*")) for span in spans_in(path)]


def is_held(span: Span, held: list[Span]) -> bool:
    """Whether one of the held spans has all of it."""
    return any(other.holds(span) for other in held)


def sent_of(writer: str, segments: list[Span]) -> int:
    """How many bytes from its start, without a gap, of a writer's file its segments have."""
    sent = 0
    for span in sorted(segments):
        if span.writer == writer and span.start <= sent < span.stop:
            sent = span.stop
    return sent
