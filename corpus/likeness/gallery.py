"""The pictures of benchmarks, searchable by how a picture looks: cropped, bordered, mirrored or turned."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from corpus.likeness.pictures import OUTLINE, SIDE, Look, View, outline, turned
from corpus.likeness.registering import SAME, overlaid

MAX_FRAMES: Final = 8
"""Pictures of a volume or video that are compared, evenly spaced."""

_CLOSE: Final = (0.88, 0.0, 0.88, 0.0)
_MARGIN: Final = 4
"""Each picture is also found by its inner 56 of 64 pixels, so that a crop of 6% a side is near one of the two."""

_BEST: Final = 4
"""Pictures compared in full for each one asked about."""

Found = tuple[float, int, int]
"""Correlation of detail, bits that differ, the picture's number."""


def chosen(pictures: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The pictures that an item is compared by, with their numbers."""
    num = len(pictures)
    numbers = range(num) if num <= MAX_FRAMES else [k * (num - 1) // (MAX_FRAMES - 1) for k in range(MAX_FRAMES)]
    return [(k, pictures[k]) for k in numbers]


class Gallery:
    """Pictures by number: 4 KB and up to four outlines of 256 bytes each."""

    def __init__(self, looks: Iterable[Look]) -> None:
        views: list[NDArray[np.uint8]] = []
        outlines: list[View] = []
        rows: list[tuple[int, int, tuple[float, ...]]] = []
        for number, one in enumerate(looks):
            for view in one.views:
                for start, seen in ((SAME, view), (_CLOSE, _inner(view))):
                    outlines.append(outline(seen))
                    rows.append((number, len(views), start))
                views.append(view.astype(np.uint8))
        self._views = views
        self._rows = rows
        self._outlines = np.array(outlines, dtype=np.float32).reshape(len(rows), OUTLINE)

    def nearest(self, one: Look, least: float) -> list[Found]:
        """The pictures whose outlines agree with `least` or more, compared in full, best first."""
        if not self._rows:
            return []
        views = [turn for view in one.views for turn in turned(view)]
        # rounded: a sum of products may differ in its last bit where it is spread over other threads
        cosines = np.round(self._outlines @ np.array([outline(view) for view in views]).T, 5)
        best = cosines.max(axis=1)
        found: dict[int, Found] = {}
        rows = np.flatnonzero(best >= least)
        ranked: list[int] = rows[np.argsort(-best[rows], kind="stable")].tolist()
        for row in ranked:
            number, at, start = self._rows[row]
            if number in found:
                continue
            if len(found) == _BEST:
                break
            detail, bits = overlaid(views[int(cosines[row].argmax())], self._views[at].astype(np.float32), start)
            found[number] = (round(detail, 5), bits, number)
        return sorted(found.values(), key=lambda item: (-item[0], item[2]))


def _inner(view: View) -> View:
    """The inner part stretched to the whole."""
    places = (np.arange(SIDE) + 0.5) * (SIDE - 2 * _MARGIN) / SIDE + _MARGIN - 0.5
    first = places.astype(np.intp)
    part = (places - first).astype(np.float32)
    rows = view[first] * (1 - part)[:, None] + view[first + 1] * part[:, None]
    inner = rows[:, first] * (1 - part) + rows[:, first + 1] * part
    return inner.astype(np.float32)
