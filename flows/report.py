"""What a run made and what it cost: organ system x modality per flow, and flow x source x teacher."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from corpus.audit.stats import Cell
from flows.progress import Watcher

HEADINGS: Final = ("organ system", "modality", "in", "generated", "rejected by reason", "kept", "tokens")
NUMERIC: Final = frozenset({"in", "generated", "kept", "tokens"})
"""Headings of columns that align to the right."""


def texts_of(cell: Cell) -> tuple[str, ...]:
    """A cell as text, in the order of `HEADINGS`; reasons most frequent first."""
    ordered = sorted(cell.rejected.items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{reason} {count}" for reason, count in ordered) or "-"
    tokens = cell.prompt_tokens + cell.completion_tokens
    counts = (str(cell.num_in), str(cell.num_generated), reasons, str(cell.num_kept), f"{tokens:,}")
    return (cell.organ, cell.modality, *counts)


def markdown_table(cells: Sequence[Cell]) -> str:
    """The table as Markdown."""
    head = "| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS)
    return "\n".join([head, *("| " + " | ".join(texts_of(cell)) + " |" for cell in cells)])


def as_data(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cells as plain data."""
    # Python 3.11's asdict makes a Counter of pairs out of a Counter
    return [{**asdict(cell), "rejected": dict(cell.rejected)} for cell in cells]


@dataclass(frozen=True, slots=True)
class Spend:
    """What was asked of one teacher for one source of one flow in one run; tokens and `usd` were paid now."""

    flow: str
    source: str
    teacher: str
    num_requests: int
    num_replayed: int
    num_refused: int
    prompt_tokens: int
    completion_tokens: int
    usd: float


def spent_by(watcher: Watcher) -> list[Spend]:
    """What every flow has asked of whom for which source, in the order of asking."""
    return [
        Spend(state.flow, source, teacher, **asdict(account))
        for state in watcher.flows.values()
        for teacher, meter in state.meters().items()
        for source, account in tuple(meter.sources.items())
    ]
