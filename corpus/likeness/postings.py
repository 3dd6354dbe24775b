"""From terms to the texts that have them: which texts share enough weight to be compared in full."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

COMMON: Final = 0.02
"""Terms in more than 2% of the texts (and in 50) propose nothing; their weight is granted."""


class Postings:
    """Texts as sets of weighted terms; those marked in `left_out` are never found."""

    def __init__(self, texts: Sequence[Ints], weights: NDArray[np.float64], left_out: NDArray[np.bool_]) -> None:
        self._weights = weights
        terms = np.concatenate([*texts, np.empty(0, dtype=np.int64)])
        owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        totals = np.bincount(owners, weights[terms], minlength=len(texts))
        self._totals = np.where((totals > 0) & ~left_out, totals, np.inf)
        counts = np.bincount(terms, minlength=len(weights))
        common = (counts > max(50, COMMON * len(texts)))[terms]
        self._granted = np.bincount(owners[common], weights[terms[common]], minlength=len(texts))
        terms, owners = terms[~common], owners[~common]
        order = np.lexsort((owners, terms))
        self._owners = owners[order]
        self._starts = np.searchsorted(terms[order], np.arange(len(weights) + 1))

    def sharing(self, terms: Ints, least: float, best: int) -> Ints:
        """The `best` texts of whose weight distinct `terms` hold a share of `least`, most first."""
        if not len(terms) or not len(self._totals):
            return np.empty(0, dtype=np.int64)
        spans = [self._owners[self._starts[term] : self._starts[term + 1]] for term in terms.tolist()]
        weights = np.repeat(self._weights[terms], [len(span) for span in spans])
        share = np.bincount(np.concatenate(spans), weights, minlength=len(self._totals)) + self._granted
        share /= self._totals
        rows = np.flatnonzero(share >= least)
        return rows[np.argsort(-share[rows], kind="stable")][:best]
