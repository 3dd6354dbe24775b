"""Taking stock of what is kept: replies, tokens and dollars by who answered, for which flow and source."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from teachers.replay.line import decode
from teachers.replay.names import LINES, TABLE, UNSENT, age_rank, block_folders
from teachers.replay.table import Table

COLUMNS: Final = (
    "key",
    "flow",
    "source",
    "teacher",
    "model",
    "revision",
    "prompt_tokens",
    "completion_tokens",
    "usd",
)
"""What a reply is counted by, in the order of a table's columns; its text is not read."""


class Group(NamedTuple):
    """Whose replies are counted together."""

    flow: str
    source: str
    teacher: str
    model: str
    revision: str


@dataclass(slots=True)
class Amount:
    """Replies (each counted once), tokens, US dollars paid, and their share of the bytes on disk."""

    num_replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    num_bytes: float = 0.0


@dataclass(slots=True)
class Stock:
    """What a corpus has kept. Sizes are bytes; `num_broken` counts lines, and tables that cannot be read."""

    amounts: dict[Group, Amount] = field(default_factory=dict[Group, Amount])
    num_blocks: int = 0
    num_line_files: int = 0
    num_tables: int = 0
    line_bytes: int = 0
    table_bytes: int = 0
    unsent_bytes: int = 0
    """Lines that are compacted already and wait for the mirror."""
    num_broken: int = 0
    num_duplicates: int = 0


def take_stock(root: Path) -> Stock:
    """Count what is kept below the corpus folder `root`; a run may go on meanwhile. Raises OSError."""
    stock = Stock()
    for folder in block_folders(root):
        stock.num_blocks += 1
        seen: set[str] = set()
        for path in sorted(folder.iterdir(), key=age_rank):
            _count_file(path, seen, stock)
    return stock


def _count_file(path: Path, seen: set[str], stock: Stock) -> None:
    try:
        size = path.stat().st_size
        rows = list(_rows(path, stock))
    except FileNotFoundError:
        return  # compacted or collected a moment ago: it is counted where it went
    if path.suffix == LINES:
        stock.num_line_files += 1
        stock.line_bytes += size
    elif path.suffix == TABLE:
        stock.num_tables += 1
        stock.table_bytes += size
    elif path.suffix == UNSENT:
        stock.unsent_bytes += size
    for row in rows:
        _count(row, size / len(rows), seen, stock)


def _rows(path: Path, stock: Stock) -> Iterator[tuple[Any, ...]]:
    """The counted columns of each readable reply of a file."""
    if path.suffix == LINES:
        with path.open("rb") as file:
            for line in file:
                kept = decode(line)
                if kept is None:
                    stock.num_broken += 1
                else:
                    yield tuple(getattr(kept, name) for name in COLUMNS)
    elif path.suffix == TABLE:
        try:
            with closing(Table(path)) as table:
                for columns in table.columns(COLUMNS):
                    yield from zip(*columns, strict=True)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError):
            stock.num_broken += 1


def _count(row: tuple[Any, ...], num_bytes: float, seen: set[str], stock: Stock) -> None:
    key, flow, source, teacher, model, revision, prompt_tokens, completion_tokens, usd = row
    amount = stock.amounts.setdefault(Group(flow, source, teacher, model, revision), Amount())
    amount.num_bytes += num_bytes
    if key in seen:
        stock.num_duplicates += 1
        return
    seen.add(key)
    amount.num_replies += 1
    amount.prompt_tokens += prompt_tokens
    amount.completion_tokens += completion_tokens
    amount.usd += usd
