"""The final table: organ system x modality, per flow, from the commit entries."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from corpus.entries import CommitEntry
from schemas.task import Tally


@dataclass(slots=True)
class Row:
    """One flow's cell of the table, or its total."""

    flow: str
    organ: str
    modality: str
    num_in: int = 0
    num_generated: int = 0
    num_kept: int = 0
    rejected: dict[str, int] = field(default_factory=dict[str, int])
    num_requests: int = 0
    num_replayed: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, tally: Tally) -> None:
        """Count a task's tally in."""
        self.num_in += tally.num_in
        self.num_generated += tally.num_generated
        self.num_kept += tally.num_kept
        self.num_requests += tally.num_requests
        self.num_replayed += tally.num_replayed
        self.tokens += tally.prompt_tokens + tally.completion_tokens
        self.usd += tally.usd
        for reason, count in tally.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count

    @property
    def reasons(self) -> str:
        """Rejects by reason, most frequent first."""
        ordered = sorted(self.rejected.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{reason} {count}" for reason, count in ordered) or "-"


def rows_of(entries: Iterable[CommitEntry]) -> list[Row]:
    """One row per flow, organ and modality, in that order."""
    rows: dict[tuple[str, str, str], Row] = {}
    for entry in entries:
        for tally in entry.tallies:
            key = (entry.flow, tally.organ, tally.modality)
            rows.setdefault(key, Row(*key)).add(tally)
    return [rows[key] for key in sorted(rows)]


def totals_of(rows: Iterable[Row]) -> list[Row]:
    """One row per flow."""
    totals: dict[str, Row] = {}
    for row in rows:
        total = totals.setdefault(row.flow, Row(row.flow, "all", "all"))
        as_tally = {name: getattr(row, name) for name in ("num_in", "num_generated", "num_kept", "rejected")}
        asked = {name: getattr(row, name) for name in ("num_requests", "num_replayed", "usd")}
        total.add(Tally(row.organ, row.modality, **as_tally, **asked, completion_tokens=row.tokens))
    return list(totals.values())


HEADINGS = ("organ system", "modality", "in", "generated", "rejected by reason", "kept", "tokens")


def cells_of(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of `HEADINGS`."""
    counts = (str(row.num_in), str(row.num_generated), row.reasons, str(row.num_kept), f"{row.tokens:,}")
    return (row.organ, row.modality, *counts)


def markdown_table(rows: list[Row]) -> str:
    """The table as Markdown, flow by flow."""
    head = "| flow | " + " | ".join(HEADINGS) + " |\n|" + "---|" * (len(HEADINGS) + 1)
    return "\n".join([head, *("| " + " | ".join((row.flow, *cells_of(row))) + " |" for row in rows)])


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as plain data."""
    return [asdict(row) for row in rows]
