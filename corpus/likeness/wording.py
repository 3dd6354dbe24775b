"""The texts of benchmarks, searchable by wording: common runs, near equality, and the weight of what is shared.

What convicts is the question: options alone come back in other questions. Terms weigh by how rare they are among
the benchmarks' items, so that a template that they share weighs little. A decision rests on the item and the
benchmarks only, never on other samples.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from corpus.likeness.items import BenchmarkItem
from corpus.likeness.postings import Postings
from corpus.likeness.thresholds import Thresholds
from corpus.likeness.tokens import Hashes, runs, terms, tokens

RUN: Final = 5
"""Tokens that a common run has at least (Apertus: blocks of 5)."""

_TELLING: Final = 8
"""Tokens of a question that may be found by its terms (Apertus: 8-grams); a shorter one must be repeated as it is."""

_SHARPNESS: Final = 1.5
"""Power of the log: with 1, a template's words hid a question told in others; with 2, its disease alone convicted."""

_CONTEXT: Final = 20
_BEST: Final = 6
"""Texts compared in full for each sample."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wording:
    """A question or a context: `asked` are its terms, `whole` with options and answer, `own` those they lack."""

    number: int
    text: str
    num: int
    runs: Hashes
    term_ids: Ints
    asked: Ints
    whole: Ints
    own: Ints


@dataclass(frozen=True, slots=True)
class Likeness:
    """A benchmark item that a text repeats: by which measure, and the score that it gave (0-1)."""

    number: int
    measure: str
    score: float


class Wordings:
    """The texts of benchmark items, with an index from term to text."""

    def __init__(self, items: Sequence[BenchmarkItem]) -> None:
        self._ids: dict[str, int] = {}
        self.wordings = [w for number, item in enumerate(items) for w in self._wordings(number, item)]
        self.weights = self._rarity(items)
        templates = _shared(self.wordings)
        self._index = Postings([w.asked for w in self.wordings], self.weights, templates)

    def likest(self, text: str, bounds: Thresholds) -> tuple[list[Likeness], list[int]]:
        """The benchmark items that a text repeats, likest first, and the numbers of all that were compared in full."""
        words = tokens(text)
        ids = np.array([self._ids.get(term, -1) for term in terms(words)], dtype=np.int64)
        proposed = self._index.sharing(np.unique(ids[ids >= 0]), bounds.proposed, _BEST)
        if not len(proposed):
            return [], []
        found_runs, flat = runs(words, RUN), " ".join(words)
        compared: list[Wording] = [self.wordings[at] for at in proposed.tolist()]
        likes = [like for w in compared if (like := self._compared(w, ids, found_runs, flat, bounds))]
        return sorted(likes, key=lambda like: (-like.score, like.number)), [w.number for w in compared]

    def _rarity(self, items: Sequence[BenchmarkItem]) -> NDArray[np.float64]:
        """A weight for each term: the log of how many items of the languages it occurs in there are to one with it."""
        sizes = Counter(item.language for item in items)
        # an item's question is also in its context's item: items count, not texts
        pairs = {(term, w.number) for w in self.wordings for term in w.whole.tolist()}
        count = np.bincount(np.array([term for term, _ in pairs], dtype=np.int64), minlength=len(self._ids))
        among = np.zeros(len(self._ids))
        for term, language in {(term, items[number].language) for term, number in pairs}:
            among[term] += sizes[language]
        return np.log((among + 1) / np.maximum(count, 1)) ** _SHARPNESS

    def _compared(
        self, wording: Wording, ids: Ints, found_runs: Hashes, flat: str, bounds: Thresholds
    ) -> Likeness | None:
        first, last = self._passage(wording, ids)
        asked = self._share(wording.asked, ids[first:last])
        if asked < bounds.asked:
            return None
        if wording.num >= _TELLING:
            covered = _covered(wording, found_runs[first : max(first + 1, last - RUN + 1)])
            coverage = min(float(covered.mean()), self._share(wording.asked, wording.term_ids[covered]))
            if coverage >= bounds.coverage:
                return Likeness(wording.number, "coverage", coverage)
            # options and answer stand before or after the question
            around = ids[max(0, first - len(wording.whole)) : last + 2 * len(wording.whole)]
            whole = self._share(wording.whole, around)
            if whole >= bounds.whole and self._share(wording.own, ids[first:last]) >= bounds.own:
                return Likeness(wording.number, "containment", (asked + whole) / 2)
        # letters alone hold "ovary" and "oropharynx" in one template to be alike
        if asked >= bounds.fuzzy_asked and len(flat) >= 0.9 * len(wording.text):
            ratio = fuzz.partial_ratio(wording.text, flat, score_cutoff=bounds.fuzzy)
            return Likeness(wording.number, "fuzzy", ratio / 100) if ratio else None
        return None

    def _share(self, terms: Ints, among: Ints) -> float:
        """The share of the weight of distinct terms that is found; 1 of nothing."""
        weights = self.weights[terms]
        total = float(weights.sum())
        return float(weights[np.isin(terms, among)].sum()) / total if total else 1.0

    def _passage(self, wording: Wording, ids: Ints) -> tuple[int, int]:
        """Where most of a question's weight stands within a quarter as many tokens again as it has: first, last."""
        span = wording.num + wording.num // 4 + 4
        known = np.flatnonzero(np.isin(ids, wording.asked))
        if len(ids) <= span or not len(known):
            return 0, len(ids)
        starts = known[:: max(1, len(known) // 64)]
        ends = np.searchsorted(known, starts + span)
        begins = np.searchsorted(known, starts)
        inside = (np.unique(ids[known[b:e]]) for b, e in zip(begins.tolist(), ends.tolist(), strict=True))
        weights = [float(self.weights[terms].sum()) for terms in inside]
        first = int(starts[int(np.argmax(weights))])
        return first, first + span

    def _wordings(self, number: int, item: BenchmarkItem) -> list[Wording]:
        question = tokens(item.question)
        rest = [word for part in (*item.options, item.answer) for word in tokens(part)]
        found = [self._wording(number, question, rest)] if question else []
        if len(context := tokens(item.context)) >= _CONTEXT:
            found.append(self._wording(number, context, []))
        return found

    def _wording(self, number: int, words: list[str], rest: list[str]) -> Wording:
        ids, more = ([self._ids.setdefault(t, len(self._ids)) for t in terms(part)] for part in (words, rest))
        found = np.array(ids, dtype=np.int64)
        whole = np.unique(np.array(ids + more, dtype=np.int64))
        return Wording(
            number,
            " ".join(words),
            len(words),
            runs(words, RUN),
            found,
            np.unique(found),
            whole,
            np.setdiff1d(found, more),
        )


def _covered(wording: Wording, found_runs: Hashes) -> NDArray[np.bool_]:
    """Which of a text's tokens lie in a run that the sample has too."""
    covered = np.zeros(wording.num, dtype=bool)
    for at in np.flatnonzero(np.isin(wording.runs, found_runs)).tolist():
        covered[at : at + RUN] = True
    return covered


def _shared(wordings: Sequence[Wording]) -> NDArray[np.bool_]:
    """Questions that several items ask word for word: a template, which convicts nobody."""
    owners: dict[str, set[int]] = {}
    for wording in wordings:
        owners.setdefault(wording.text, set()).add(wording.number)
    return np.array([len(owners[wording.text]) > 1 for wording in wordings], dtype=bool)
