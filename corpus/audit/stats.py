"""What a snapshot was made of, in numbers: flow x organ x modality, summed from its commit entries."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Final

from corpus.commit.entries import CommitEntry
from corpus.manifest.snapshot import Snapshot
from schemas.task import Tally


def table(snapshot: Snapshot) -> list["Cell"]:
    """The cells of a snapshot; JSON only, no shard is opened."""
    return cells_of(snapshot.read_entries())


def cells_of(entries: Iterable[CommitEntry]) -> list["Cell"]:
    """One cell per flow, organ system (or scope) and modality, sorted."""
    cells: dict[tuple[str, str, str], Cell] = {}
    for entry in entries:
        for tally in entry.tallies:
            key = (entry.flow, tally.organ, tally.modality)
            cells.setdefault(key, Cell(*key)).add(tally)
    return [cells[key] for key in sorted(cells)]


def totals_of(cells: Iterable["Cell"]) -> list["Cell"]:
    """One cell per flow, over all organs and modalities."""
    totals: dict[str, Cell] = {}
    for cell in cells:
        totals.setdefault(cell.flow, Cell(cell.flow, "all", "all")).add(cell)
    return list(totals.values())


@dataclass(slots=True)
class Cell:
    """The sums of one cell; `rejected` counts by reason, `usd` is US dollars."""

    flow: str
    organ: str
    modality: str
    num_in: int = 0
    num_generated: int = 0
    num_kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter[str])
    num_requests: int = 0
    num_replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0

    def add(self, tally: "Tally | Cell") -> None:
        """Add one task's tally of this cell, or another cell."""
        self.rejected.update(tally.rejected)
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(tally, name))


SUMMED: Final = tuple(f.name for f in fields(Tally) if f.name not in ("organ", "modality", "rejected"))
"""The numbers of a tally that add up."""
