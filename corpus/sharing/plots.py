"""A dataset card's pictures, as PNG bytes: organ by modality, languages, lengths, yields."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (matplotlib's own types are partly unknown)

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from corpus.sharing.facts import Facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI: Final = 110
MAX_BARS: Final = 30
"""Bars of a chart; the smallest values are left out beyond it."""


def plots_of(facts: Facts) -> dict[str, bytes]:
    """The pictures by file name; a picture without numbers is left out. The same facts make the same bytes."""
    languages = {str(name): rows for name, rows in facts.counts["language"].items()}
    yields = {flow: one.num_kept / one.num_in for flow, one in facts.made.yields.items() if one.num_in}
    drawn = {
        "organ-modality.png": _cells(facts.cells) if facts.cells else None,
        "languages.png": _bars(languages, "rows", "Rows by language") if languages else None,
        "lengths.png": _lengths(facts.lengths) if facts.lengths else None,
        "yields.png": _bars(yields, "kept samples per record", "Yield by flow") if yields else None,
    }
    return {name: _png(figure) for name, figure in drawn.items() if figure is not None}


def _cells(cells: Mapping[str, int]) -> "Figure":
    """Rows by organ system (or scope) and modality; the shade is logarithmic, the number is exact."""
    places = [(*name.rsplit("|", 1), rows) for name, rows in cells.items()]
    organs, modalities = sorted({organ for organ, _, _ in places}), sorted({modality for _, modality, _ in places})
    grid = [[math.nan] * len(modalities) for _ in organs]
    for organ, modality, rows in places:
        grid[organs.index(organ)][modalities.index(modality)] = math.log10(rows) if rows else math.nan
    top = max(math.log10(max(cells.values())), 1)
    figure = _figure(2.5 + 0.75 * len(modalities), 1.5 + 0.4 * len(organs))
    axes = figure.add_subplot()
    axes.imshow(grid, cmap="YlGnBu", aspect="auto", vmin=0, vmax=top)
    for organ, modality, rows in places:
        shade = grid[organs.index(organ)][modalities.index(modality)]
        color = "white" if shade > 0.6 * top else "black"
        place = (modalities.index(modality), organs.index(organ))
        axes.text(*place, _short(rows), ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(modalities)), modalities, rotation=40, ha="right")
    axes.set_yticks(range(len(organs)), organs)
    axes.set_title("Rows by organ system and modality")
    return figure


def _bars(numbers: Mapping[str, float], unit: str, title: str) -> "Figure":
    ordered = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_BARS]
    figure = _figure(7, 1.2 + 0.3 * len(ordered))
    axes = figure.add_subplot()
    bars = axes.barh([name for name, _ in ordered], [value for _, value in ordered], color="#3b7a57")
    axes.bar_label(bars, labels=[_short(value) for _, value in ordered], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title)
    return figure


def _lengths(lengths: Counter[int]) -> "Figure":
    powers: Sequence[int] = range(min(lengths), max(lengths) + 1)
    figure = _figure(7, 3.2)
    axes = figure.add_subplot()
    axes.bar([_bin(power) for power in powers], [lengths[power] for power in powers], color="#3b7a57")
    axes.tick_params(axis="x", rotation=40)
    axes.set_xlabel("characters of text per row")
    axes.set_ylabel("rows")
    axes.set_title("Length of conversations")
    return figure


def _bin(power: int) -> str:
    return "none" if power < 0 else f"{2**power:,} to {2 ** (power + 1) - 1:,}"


def _short(value: float) -> str:
    """A number that fits into a cell: 1,234 is "1.2k"."""
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:.1f}{unit}"
    return f"{value:g}" if value == int(value) else f"{value:.2f}"


def _figure(width: float, height: float) -> "Figure":
    """An empty figure in inches, drawn without any screen and without pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
