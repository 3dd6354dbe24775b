"""What stays of a corpus so far, asked whether an item repeats it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from corpus.likeness.gallery import chosen
from corpus.likeness.items import Bounds, Drop, Item, Reason
from corpus.likeness.minhash import WORDS, Bands
from corpus.likeness.pictures import Look, agreement, distance, look
from corpus.likeness.tokens import Hashes, jaccard, shingles

MOST: Final = 200
"""Texts that one text is compared with, the first to stay first: a template's texts share bands without end."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The bands of items, and which of them (by text) some other text has too."""

    bands: Bands
    is_shared: NDArray[np.bool_]

    def places(self, at: int, kind: int) -> list[int]:
        """The band and its value, as one number each."""
        bands = np.flatnonzero(self.is_shared[kind])
        return ((bands << 32) + self.bands[at, bands]).tolist()


class Seen:
    """Texts by band, pictures by text and part of their hash: only of items that stay."""

    def __init__(self, items: Sequence[Item], kinds: NDArray[np.int64], shared: Shared, bounds: Bounds) -> None:
        self._items, self._kinds, self._shared, self._bounds = items, kinds, shared, bounds
        self._plain: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._leaders: dict[int, list[int]] = {}
        self._turns: dict[int, int] = {}
        self._pictured: dict[int, list[int]] = {}
        self._hashed: dict[int, Hashed] = {}
        self._contents: dict[str, int] = {}
        self._shingles = lru_cache(maxsize=4096)(self._shingled)
        self._looks = lru_cache(maxsize=512)(self._looked)

    def meets(self, at: int) -> Drop | None:
        """The drop of the item at a position where one that stays has what it has; else it stays itself."""
        item = self._items[at]
        if item.content_sha256:
            other = self._contents.setdefault(item.content_sha256, at)
            if other != at:
                return self._dropped(item, "duplicate-exact", other, 1.0, "same content")
        kind = int(self._kinds[at])
        near = self._near(at, kind)
        drop = self._meets_picture(at, item, kind, near) if item.num_pictures else self._meets_text(item, kind, near)
        if drop is None:
            self._stays(at, item, kind)
        elif item.content_sha256:
            del self._contents[item.content_sha256]
        return drop

    def _meets_text(self, item: Item, kind: int, near: dict[int, float]) -> Drop | None:
        if (other := self._plain.get(kind)) is not None:
            return self._dropped(item, "duplicate-exact", other, 1.0, "same text")
        for other_kind, score in near.items():
            if (other := self._plain.get(other_kind)) is not None:
                return self._dropped(item, "duplicate-text", other, score, f"Jaccard {score:.3f} of word 5-grams")
        return None

    def _meets_picture(self, at: int, item: Item, kind: int, near: dict[int, float]) -> Drop | None:
        kinds = [other for other in (kind, *near) if self._pictured.get(other)]
        if not kinds:
            return None
        encoded = _encoded(item)
        for other_kind in kinds:
            if (other := self._pictures_of(other_kind).encoded.get(encoded)) is not None:
                reason: Reason = "duplicate-exact" if other_kind == kind else "duplicate-image"
                return self._dropped(item, reason, other, near.get(other_kind, 1.0), "same pictures, same or near text")
        looks = self._looks(at)
        for other_kind in kinds:
            for other in self._hashed[other_kind].near(looks[0], self._bounds.hamming):
                if (score := self._agree(looks, other)) is not None:
                    return self._dropped(item, "duplicate-image", other, score, f"pictures' detail {score:.3f}")
        return None

    def _agree(self, looks: tuple[Look, ...], other: int) -> float | None:
        """The least correlation of pictures, None where one of them is another picture."""
        others = self._looks(other)
        if len(others) != len(looks):
            return None
        scores: list[float] = []
        for one, its in zip(looks, others, strict=True):
            if int(distance(one.hash, its.hash)) > self._bounds.hamming:
                return None
            scores.append(agreement(one.whole, its.whole))
        return min(scores) if min(scores) >= self._bounds.correlation else None

    def _near(self, at: int, kind: int) -> dict[int, float]:
        """The Jaccard of texts that stay and are near to this one, the first to stay first."""
        met: set[int] = set()
        for place in self._shared.places(at, kind):
            met.update(self._leaders.get(place, ())[:MOST])
        met.discard(kind)
        if not met:
            return {}
        mine, found = self._shingles(at), dict[int, float]()
        for other in sorted(met, key=self._turns.__getitem__)[:MOST]:
            if (score := jaccard(mine, self._shingles(self._first[other]))) >= self._bounds.jaccard:
                found[other] = score
        return found

    def _stays(self, at: int, item: Item, kind: int) -> None:
        if kind not in self._first:
            self._first[kind], self._turns[kind] = at, len(self._turns)
            for place in self._shared.places(at, kind):
                self._leaders.setdefault(place, []).append(kind)
        if not item.num_pictures:
            self._plain[kind] = at
            return
        self._pictured.setdefault(kind, []).append(at)
        if kind in self._hashed:
            self._hashed[kind].add(at, _encoded(item), self._looks(at)[0])

    def _pictures_of(self, kind: int) -> "Hashed":
        """Pictures are decoded when a second item of their text, or one near to it, comes: not before."""
        if kind not in self._hashed:
            self._hashed[kind] = Hashed()
            for at in self._pictured[kind]:
                self._hashed[kind].add(at, _encoded(self._items[at]), self._looks(at)[0])
        return self._hashed[kind]

    def _shingled(self, at: int) -> Hashes:
        return shingles(self._items[at].text, WORDS)

    def _looked(self, at: int) -> tuple[Look, ...]:
        item = self._items[at]
        where = f"item {item.number} of {item.source}, picture"
        return tuple(look(data, f"{where} {k}") for k, data in chosen(item.pictures()))

    def _dropped(self, item: Item, reason: Reason, other: int, score: float, detail: str) -> Drop:
        return Drop(item.number, reason, str(self._items[other].number), round(score, 4), detail)


class Hashed:
    """The pictures that stay of one text, by encoded bytes and by parts of the first one's hash."""

    def __init__(self) -> None:
        self.encoded: dict[int, int] = {}
        self._positions: list[int] = []
        self._hashes: list[NDArray[np.uint16]] = []
        self._parts: dict[int, list[int]] = {}

    def add(self, at: int, encoded: int, first: Look) -> None:
        """One more."""
        self.encoded.setdefault(encoded, at)
        for part in _parts(first):
            self._parts.setdefault(part, []).append(len(self._positions))
        self._positions.append(at)
        self._hashes.append(first.hash)

    def near(self, first: Look, bits: int) -> list[int]:
        """Positions whose hash differs by so few bits, the first to stay first.

        16 parts of 16 bits: with 15 bits different one part is equal at the least, with 24 nearly always.
        """
        numbers = sorted({number for part in _parts(first) for number in self._parts.get(part, ())})
        if not numbers:
            return []
        far = distance(np.stack([self._hashes[number] for number in numbers]), first.hash)
        return [self._positions[numbers[k]] for k in np.flatnonzero(far <= bits).tolist()]


def _parts(one: Look) -> list[int]:
    return [(k << 16) + part for k, part in enumerate(one.hash.tolist())]


def _encoded(item: Item) -> int:
    """128 bits of an item's encoded pictures."""
    digest = xxhash.xxh3_128()
    for data in item.pictures():
        digest.update(xxhash.xxh3_128_digest(data))
    return digest.intdigest()
