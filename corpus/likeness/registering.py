"""Laying one view over another that was cropped, padded or stretched by up to a fifth."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from corpus.likeness.pictures import SIDE, View, agreement, blurred, distance, hash_of

Warp = NDArray[np.float64]
"""Scale and shift along x, scale and shift along y, in half sides: (4,)."""

SAME: Final = (1.0, 0.0, 1.0, 0.0)
_LEVELS: Final = ((4, 5), (2, 4), (1, 3))
"""Decimation and steps of each level, coarse to fine; more steps moved no decision of the planted set."""

_RANGE: Final = 0.7, 1.4


def overlaid(one: View, other: View, start: tuple[float, ...] = SAME) -> tuple[float, int]:
    """How well two views agree, as they lie or registered: (correlation of detail, bits of 256 that differ)."""
    best = agreement(one, other), int(distance(hash_of(one), hash_of(other)))
    if best[0] >= 0.98:
        return best
    moved, inside = _sampled(other, register(one, other, start))
    if inside.mean() < 0.6:
        return best
    found = agreement(one, moved, inside), int(distance(hash_of(one), hash_of(moved)))
    return max(best, found)


def register(one: View, other: View, start: tuple[float, ...] = SAME) -> Warp:
    """The warp of `other` that fits `one` best: least squares in warp, gain and offset at once (Gauss-Newton)."""
    warp = np.array(start)
    for by, steps in _LEVELS:
        a, b = (_coarse(view, by) for view in (one, other))
        x = _grid(a.shape[0])
        for _ in range(steps):
            moved, inside = _sampled(b, warp)
            dy, dx = (np.asarray(slope, dtype=np.float32) for slope in np.gradient(moved, x, x))
            columns: tuple[View, ...] = (moved, dx * x, dx, dy * x[:, None], dy, np.ones_like(moved))
            matrix = np.stack([column[inside] for column in columns]).astype(np.float64)
            gram = matrix @ matrix.T
            gram[np.diag_indices(6)] *= 1 + 1e-4
            gram[np.diag_indices(6)] += 1e-3
            found = np.linalg.solve(gram, matrix @ a[inside])
            if abs(found[0]) < 1e-3:
                return warp
            # dx is of the warped picture: through the chain rule a step is in its own scale
            warp = warp + np.clip(found[1:5] / found[0], -0.1, 0.1) * warp[[0, 0, 2, 2]]
            if not (_RANGE[0] < warp[0] < _RANGE[1] and _RANGE[0] < warp[2] < _RANGE[1]):
                return np.array(SAME)
    return warp


def _coarse(view: View, by: int) -> View:
    if by == 1:
        return view
    small = view.reshape(SIDE // by, by, SIDE // by, by).mean(axis=(1, 3))
    return blurred(small, 1)


def _grid(side: int) -> NDArray[np.float32]:
    return ((np.arange(side) - (side - 1) / 2) / (side / 2)).astype(np.float32)


def _sampled(view: View, warp: Warp) -> tuple[View, NDArray[np.bool_]]:
    """The view at warped places, bilinear, and which places lie inside it."""
    side = view.shape[0]
    (x0, fx, inside_x), (y0, fy, inside_y) = (_places(side, warp[k], warp[k + 1]) for k in (0, 2))
    rows = view[y0] * (1 - fy)[:, None] + view[y0 + 1] * fy[:, None]
    moved = rows[:, x0] * (1 - fx) + rows[:, x0 + 1] * fx
    return moved.astype(np.float32), inside_y[:, None] & inside_x


def _places(side: int, scale: float, shift: float) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.bool_]]:
    places = (scale * _grid(side) + shift) * (side / 2) + (side - 1) / 2
    inside = (places > -0.5) & (places < side - 0.5)
    places = places.clip(0, side - 1.001)
    first = places.astype(np.intp)
    return first, (places - first).astype(np.float32), inside
