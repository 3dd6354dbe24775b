"""Markdown for cards: tables, counts and sizes as a person reads them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from corpus.layout import SPLITS


def table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A Markdown table, `left` columns of text and then numbers; empty without rows."""
    lines = list(rows)
    if not lines:
        return ""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(_line(line) for line in (head, rule, *lines))


def counts(head: Sequence[str], numbers: Mapping[str, int]) -> str:
    """A table of numbers by name, the largest first; the name breaks ties."""
    ordered = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return table(head, ([name, f"{number:,}"] for name, number in ordered))


def cell_table(cells: Mapping[str, int]) -> str:
    """Rows by organ system (or scope) and modality, from numbers by `corpus.layout.cell`."""
    by_place: Counter[tuple[str, str]] = Counter()
    for name, rows in cells.items():
        organ, _, modality = name.rpartition("|")
        by_place[organ, modality] += rows
    modalities = sorted({modality for _, modality in by_place})
    organs = sorted({organ for organ, _ in by_place})
    lines = [
        [organ, *(f"{by_place[organ, m]:,}" if by_place[organ, m] else "" for m in modalities)] for organ in organs
    ]
    return table(["", *modalities], lines) if lines else "No rows yet."


def splits(rows: Mapping[str, int]) -> str:
    """Rows of the three splits in one line."""
    return ", ".join(f"{split} {rows.get(split, 0):,}" for split in SPLITS)


def size(num_bytes: int) -> str:
    """Bytes as a person reads them."""
    for unit, scale in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} bytes"


def _line(values: Sequence[object]) -> str:
    return f"| {' | '.join(str(value).replace('|', '/').replace(chr(10), ' ') for value in values)} |"
