"""What a snapshot was made of, in numbers: flow x organ x modality, summed from its commit entries."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Final

from corpus.snapshot import Snapshot
from schemas.task import Tally


def table(snapshot: Snapshot) -> list["Cell"]:
    """One cell per flow, organ system (or scope) and modality, sorted; JSON only, no shard is opened."""
    cells: dict[tuple[str, str, str], Cell] = {}
    for entry in snapshot.read_entries():
        for tally in entry.tallies:
            key = (entry.flow, tally.organ, tally.modality)
            cells.setdefault(key, Cell(*key)).add(tally)
    return [cells[key] for key in sorted(cells)]


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

    def add(self, tally: Tally) -> None:
        """Add one task's tally of this cell."""
        self.rejected.update(tally.rejected)
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(tally, name))


SUMMED: Final = tuple(f.name for f in fields(Tally) if f.name not in ("organ", "modality", "rejected"))
"""The numbers of a tally that add up."""
