"""The final table, organ system x modality per flow, as text, Markdown and plain data."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from corpus.stats import Cell

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
