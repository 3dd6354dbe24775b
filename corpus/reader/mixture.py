"""Weighted mixtures: exact shares of several corpora, draw by draw, with nothing to remember.

Draws come in blocks of 4,096. How many a component has had before a block is closed-form, in whole numbers:
`round(x)` is floor(x + 1/2) and W sums the weights w, which are exact fractions of 1, up to and including a component.

- components with less than one draw a block: round(n * w) of the first n draws;
- the others, by name behind the heaviest: round(n * W) less that of the one before, where W begins with the rare ones;
- the heaviest: what is left.

In a block, draws are ascending by hash(seed, word("mixture"), block, i), where i numbers the components' draws, the
components in the order just given (see `corpus.reader.order` for the hash). A component's draws take its positions
from 0 in turn; position p is place p % rows of epoch p // rows.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, count, pairwise, repeat
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from corpus.compute import pc
from corpus.reader.order import MASK, hash_array, hash_of, numbers, word_of
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from corpus.reader.corpus import Corpus

BLOCK: Final = 4096
"""Draws of a block: shares are exact at its end, and a block is planned in a millisecond."""
MAX_COMPONENTS: Final = 64
"""With more, the heaviest could not give way to all rare ones in one block."""

Weight = float | Fraction
Draw = tuple[str, int]
"""A component's name and the position of the draw in it."""


class Mixture:
    """Corpora by name and the share of draws that each has, for ever or for `num_draws`.

    After any whole number of blocks every component has had its share of the draws to within less than
    one; only where several are rarer than one draw a block (K of them) may the heaviest be (K + 1) / 2 off.
    A float weight means the decimal that it prints as. Raises ConfigError for a component without rows,
    and for weights that are not positive or not of the components.
    """

    def __init__(
        self, components: "Mapping[str, Corpus]", weights: Mapping[str, Weight], num_draws: int | None = None
    ) -> None:
        self.components = {name: components[name] for name in sorted(components)}
        self.sizes = {name: len(corpus) for name, corpus in self.components.items()}
        _check(self.sizes, weights)
        self.asked = {name: _exact(weights[name]) for name in self.components}
        """The weight of each component, or how many passes over it were asked for."""
        self.is_epochs = False
        self._share(self.asked)
        self.num_draws = num_draws
        """How many draws there are; None: as many as are wanted."""

    @classmethod
    def epochs(cls, components: "Mapping[str, Corpus]", passes: Mapping[str, Weight]) -> "Mixture":
        """So many passes over each component, spread evenly: `{"a": 2.0, "b": 0.5}`; it ends when all are done.

        A part of a pass is the nearest whole number of rows. Raises ConfigError as `Mixture` does, and where
        that number is 0.
        """
        mixture = cls(components, passes)
        mixture.is_epochs = True
        rows = {
            name: math.floor(wanted * mixture.sizes[name] + Fraction(1, 2)) for name, wanted in mixture.asked.items()
        }
        for name, num in rows.items():
            if not num:
                raise ConfigError(f"{passes[name]} passes over the {mixture.sizes[name]} rows of {name!r} are no row")
        mixture._share(rows)
        mixture.num_draws = sum(rows.values())
        return mixture

    @property
    def names(self) -> list[str]:
        """The components in the order in which quotas are cut: the rare ones, the heaviest, the others."""
        return list(self._parts)

    @property
    def spec(self) -> str:
        """What decides the draws, in words: components with their weights or passes; one alone has all of them."""
        if len(self._parts) == 1:
            return next(iter(self._parts))
        kind = "passes" if self.is_epochs else "weights"
        total = 1 if self.is_epochs else sum(self.asked.values())
        return f"{kind} " + " ".join(f"{name!r}: {weight / total}" for name, weight in self.asked.items())

    def draws(self, start: int, stop: int, seed: int = 0) -> list[Draw]:
        """Draws [start, stop). Raises IndexError past `num_draws`."""
        if not 0 <= start <= stop or (self.num_draws is not None and stop > self.num_draws):
            raise IndexError(f"draws {start:,} to {stop:,} of {self.num_draws}")
        found: list[Draw] = []
        while start < stop:
            block, first = divmod(start, BLOCK)
            end = min(stop, (block + 1) * BLOCK)
            found += self._block(block, seed)[first : first + end - start]
            start = end
        return found

    def seen(self, num_draws: int, seed: int = 0) -> dict[str, int]:
        """How many rows of each component the first `num_draws` draws take."""
        block, rest = divmod(num_draws, BLOCK)
        seen = dict(zip(self._parts, self._counts(block * BLOCK), strict=True))
        for name, _ in self._block(block, seed)[:rest] if rest else ():
            seen[name] += 1
        return {name: seen[name] for name in self.components}

    def _share(self, weights: Mapping[str, Fraction | int]) -> None:
        """Weights as whole parts of a total, in the order of `names`."""
        scale = math.lcm(*(Fraction(weight).denominator for weight in weights.values()))
        parts = {name: int(weight * scale) for name, weight in weights.items()}
        shared = math.gcd(*parts.values())
        parts = {name: part // shared for name, part in parts.items()}
        self._total = sum(parts.values())
        heaviest = max(parts, key=lambda name: parts[name])
        rare = [name for name in parts if parts[name] * BLOCK < self._total]
        names = [*rare, heaviest, *(name for name in parts if name != heaviest and name not in rare)]
        self._parts = {name: parts[name] for name in names}
        self._num_rare = len(rare)
        self._cached: tuple[int, int, list[Draw]] | None = None

    def _counts(self, n: int) -> list[int]:
        """How many of the first `n` draws, a whole number of blocks or all, each component has had."""
        parts = list(self._parts.values())
        rare = [self._rounded(n, part) for part in parts[: self._num_rare]]
        sums = [sum(parts[: end + 1]) for end in range(self._num_rare, len(parts))]
        ends = [self._rounded(n, end) for end in sums]
        return [*rare, ends[0] - sum(rare), *(end - start for start, end in pairwise(ends))]

    def _rounded(self, n: int, part: int) -> int:
        return (2 * n * part + self._total) // (2 * self._total)

    def _block(self, block: int, seed: int) -> list[Draw]:
        """Every draw of a block; the last of `epochs` is shorter."""
        if self._cached is None or self._cached[:2] != (block, seed):
            self._cached = (block, seed, list(self._drawn(block, seed)))
        return self._cached[2]

    def _drawn(self, block: int, seed: int) -> Iterator[Draw]:
        first = block * BLOCK
        end = first + BLOCK if not self.is_epochs or self.num_draws is None else min(first + BLOCK, self.num_draws)
        before = self._counts(first)
        positions = {name: count(start) for name, start in zip(self._parts, before, strict=True)}
        if len(positions) == 1:
            (name,) = positions
            return zip(repeat(name), range(first, end), strict=False)
        quotas = [after - start for after, start in zip(self._counts(end), before, strict=True)]
        drawn = list(chain.from_iterable(repeat(name, num) for name, num in zip(self._parts, quotas, strict=True)))
        names = [drawn[i] for i in _permutation(len(drawn), hash_of(seed & MASK, word_of("mixture"), block))]
        return ((name, next(positions[name])) for name in names)


def _permutation(num: int, prefix: int) -> Sequence[int]:
    """The numbers below `num`, ascending by the hash of (words of `prefix`, number)."""
    return pc.array_sort_indices(hash_array(prefix, numbers(num).cast(pa.uint64()))).to_pylist()


def _exact(weight: Weight) -> Fraction:
    """0.1 is a tenth, not the nearest binary fraction."""
    return Fraction(weight) if isinstance(weight, Fraction | int) else Fraction(str(weight))


def _check(sizes: Mapping[str, int], weights: Mapping[str, Weight]) -> None:
    """Raise ConfigError where the components cannot be mixed so."""
    if not 0 < len(sizes) <= MAX_COMPONENTS:
        raise ConfigError(
            f"a mixture has 1 to {MAX_COMPONENTS} components, not {len(sizes)}; join some with one filter"
        )
    if unmatched := sorted(set(sizes) ^ set(weights)):
        raise ConfigError(
            f"a mixture needs one weight for each component: {', '.join(map(repr, unmatched))} is only among the "
            f"{'weights' if unmatched[0] in weights else 'components'}; components: {', '.join(sizes)}"
        )
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(f"the weight of {name!r} is {weight}: it must be above 0; leave out what is not wanted")
        if not sizes[name]:
            raise ConfigError(f"component {name!r} of the mixture has no row; widen its filter, or leave it out")
