"""Which items repeat another one of the same corpus: exactly, nearly in words, or in words and picture.

Legitimate repeats stay: other questions about one picture, one question about other pictures, a mirrored picture
(left is not right). The order of who stays is `Places.order`; near duplicates are compared with what stays, never with
what was dropped, so that a chain of small changes does not drop its far end.
"""

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from corpus.likeness.items import Bounds, Drop, Item, Reason
from corpus.likeness.minhash import BANDS, WORDS, Bands, bands_of
from corpus.likeness.seen import Seen, Shared
from corpus.likeness.splits import Places
from corpus.likeness.tokens import Hashes, runs, tokens

_WHY: Final[dict[Reason, str]] = {
    "crosses-splits": "an original of it stays in another split",
    "group-cap": "its flow has enough of its group",
}


def duplicates(items: Sequence[Item], bounds: Bounds | None = None) -> list[Drop]:
    """The items to drop, in the order of `items`: a pure function of them.

    `items` is read once from first to last, then by position for those that may repeat another: give a sequence
    that makes items when asked. Some 150 bytes an item are kept. CorpusError for a picture that cannot be decoded.
    """
    bounds = bounds or Bounds()
    places, texts, bands = _read(items)
    crossing = places.crossing()
    drops = {at: _drop(items[at], "crosses-splits") for at in np.flatnonzero(crossing).tolist()}
    order = places.order()
    order = order[~crossing[order]]
    classes, may_repeat, shared = _candidates(texts, bands, order)
    seen = Seen(items, classes, Shared(bands, shared), bounds)
    for at in order[may_repeat[order]].tolist():
        if (drop := seen.meets(at)) is not None:
            drops[at] = drop
    kept = np.ones(len(items), dtype=bool)
    kept[list(drops)] = False
    for at in np.flatnonzero(places.beyond(kept, bounds.caps, bounds.per_group)).tolist():
        drops[at] = _drop(items[at], "group-cap")
    return [drops[at] for at in sorted(drops)]


def _drop(item: Item, reason: Reason) -> Drop:
    return Drop(item.number, reason, "", 1.0, f"{_WHY[reason]}: {item.group}")


def _read(items: Sequence[Item]) -> tuple[Places, NDArray[np.uint64], Bands]:
    """Where items stand, 128 bits of each text, its bands."""
    places, digests = Places(), array("Q")

    def shingled(item: Item) -> Hashes:
        words = tokens(item.text)
        places.add(item)
        digest = xxhash.xxh3_128_intdigest(" ".join(words).encode())
        digests.extend((digest & 0xFFFFFFFFFFFFFFFF, digest >> 64))
        return runs(words, WORDS)

    bands = bands_of(map(shingled, items))
    return places, np.array(digests, dtype=np.uint64).reshape(-1, 2), bands


def _candidates(
    texts: NDArray[np.uint64], bands: Bands, order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """A number for each distinct text, which items may repeat another, which bands of which text another text has too.

    Only the items in `order` count: (items,), (items,), (texts, BANDS).
    """
    by_text = np.lexsort((texts[:, 1], texts[:, 0]))
    ranked = texts[by_text]
    changes = (ranked[1:] != ranked[:-1]).any(axis=1)
    classes = np.empty(len(texts), dtype=np.int64)
    classes[by_text] = np.cumsum(np.r_[0, changes])[: len(texts)]
    num = int(classes.max()) + 1 if len(classes) else 0
    may_repeat = np.bincount(classes[order], minlength=num)[classes] > 1
    # equal texts have equal bands: one of each text is enough to see which bands two texts share
    _, firsts = np.unique(classes[order], return_index=True)
    ones = order[firsts]
    shared = np.zeros((num, BANDS), dtype=bool)
    for band in range(BANDS):
        values = bands[ones, band]
        ranks = np.argsort(values, kind="stable")
        equal = values[ranks][1:] == values[ranks][:-1]
        shared[classes[ones[ranks[1:][equal]]], band] = True
        shared[classes[ones[ranks[:-1][equal]]], band] = True
    return classes, np.logical_or(may_repeat, np.any(shared, axis=1)[classes]), shared
