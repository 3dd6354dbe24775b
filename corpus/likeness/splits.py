"""Which items of an original stand in the wrong split, and which are too many of one group."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from corpus.likeness.items import WEAK, Item

STRICTNESS: Final = {"train": 0, "validation": 1, "test": 2}

_ANY: Final = np.iinfo(np.int64).max

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Places:
    """Where items stand, by position: some 24 bytes an item and 12 a key."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._strictness, self._is_demo = array("B"), array("B")
        self._cells, self._keys, self._owners = array("Q"), array("Q"), array("I")
        self._flows: dict[str, int] = {}
        self._flow = array("H")
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """One item more; it gets the next position."""
        position = len(self._strictness)
        self._strictness.append(STRICTNESS[item.split])
        self._is_demo.append(item.grade == "demo")
        self._flow.append(self._flows.setdefault(item.flow, len(self._flows)))
        # an item without a group is a group of its own
        group = item.group or f"\x00{position}"
        self._cells.append(_hash(f"{item.flow}\x00{group}"))
        for key in (f"group:{group}", *(key for key in item.keys if not key.startswith(WEAK))):
            self._keys.append(_hash(key))
            self._owners.append(position)

    def order(self) -> Ints:
        """Positions by who stays: production before demo, the strictest split first, then as they came."""
        strictness, demo = np.array(self._strictness, dtype=np.uint8), np.array(self._is_demo, dtype=np.uint8)
        return np.lexsort((np.arange(len(demo)), 2 - strictness, demo))

    def crossing(self) -> Flags:
        """Items one of whose originals is kept in another split: the strictest of production, else of demo items."""
        strictness = np.array(self._strictness, dtype=np.int64)
        demo = np.array(self._is_demo, dtype=bool)
        keys, owners = np.array(self._keys, dtype=np.uint64), np.array(self._owners, dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        keys, owners = keys[order], owners[order]
        starts, sizes = _stretches(keys)
        crossing = np.zeros(len(demo), dtype=bool)
        if not len(keys):
            return crossing
        own = strictness[owners] + 1
        production, any_grade = (np.maximum.reduceat(np.where(who, own, 0), starts) for who in (~demo[owners], own > 0))
        decided = np.repeat(np.where(production > 0, production, any_grade), sizes)
        crossing[owners[own != decided]] = True
        return crossing

    def beyond(self, kept: Flags, caps: Mapping[str, int | None], usual: int | None) -> Flags:
        """Kept items that come after as many others of their flow and group as their flow may have."""
        order = self.order()
        order = order[kept[order]]
        cells = np.array(self._cells, dtype=np.uint64)[order]
        by_cell = np.argsort(cells, kind="stable")
        starts, sizes = _stretches(cells[by_cell])
        turn = np.arange(len(cells)) - np.repeat(starts, sizes)
        most = [caps.get(flow, usual) for flow in self._flows]
        bound = np.array([_ANY if cap is None else cap for cap in most], dtype=np.int64)
        positions = order[by_cell]
        flows = np.array(self._flow, dtype=np.int64)[positions]
        beyond = np.zeros(len(kept), dtype=bool)
        beyond[positions[turn >= bound[flows]]] = True
        return beyond


def _stretches(values: NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Where each stretch of equal values begins in an ascending array, and how long it is."""
    starts = np.flatnonzero(np.diff(values, prepend=~values[:1]) != 0)
    return starts, np.diff(starts, append=len(values))


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())
