"""Mixtures: exact shares at every block, exact passes at the end, nothing to remember."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpus
from corpus.reader import Mixture
from corpus.reader.mixture import BLOCK
from schemas.errors import ConfigError
from tests.support.corpora import make_corpus

NAMES = [f"c{i:02d}" for i in range(12)]


class Rows:
    """As many rows as one says: what a mixture asks of a corpus."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __len__(self) -> int:
        return self.num


def mix(weights: dict[str, float | Fraction], num_draws: int | None = None, rows: int = 10) -> Mixture:
    return Mixture({name: Rows(rows) for name in weights}, weights, num_draws)  # type: ignore[arg-type]


def passes(sizes: dict[str, int], wanted: dict[str, float]) -> Mixture:
    return Mixture.epochs({name: Rows(num) for name, num in sizes.items()}, wanted)  # type: ignore[arg-type]


def shares(weights: dict[str, Fraction], num_draws: int) -> dict[str, Fraction]:
    return {name: num_draws * weight / sum(weights.values()) for name, weight in weights.items()}


def weighted(smallest: Fraction) -> st.SearchStrategy[dict[str, Fraction]]:
    weight = st.builds(Fraction, st.integers(1, 10**6), st.integers(1, 10**4)).filter(lambda w: w >= smallest)
    return st.dictionaries(st.sampled_from(NAMES), weight, min_size=1)


@settings(deadline=None)
@given(weighted(Fraction(0)), st.integers(0, 10**6))
def test_every_component_has_its_share_at_every_block(weights: dict[str, Fraction], block: int) -> None:
    mixture = mix(weights)
    total = sum(weights.values())
    num_rare = sum(weight * BLOCK < total for weight in weights.values())
    heaviest = max(weights.values())
    for number in (block, block + 1):
        seen, wanted = mixture.seen(number * BLOCK), shares(weights, number * BLOCK)
        assert sum(seen.values()) == number * BLOCK
        for name in weights:
            bound = Fraction(num_rare + 1, 2) if weights[name] == heaviest and num_rare > 1 else 1
            assert abs(seen[name] - wanted[name]) < bound
    before, after = mixture.seen(block * BLOCK), mixture.seen((block + 1) * BLOCK)
    assert all(before[name] <= after[name] for name in weights)


@settings(deadline=None, max_examples=25)
@given(weighted(Fraction(0)), st.integers(0, 3 * BLOCK), st.integers(0, BLOCK), st.integers(0, 2**64))
def test_draws_are_the_same_from_anywhere_and_take_positions_in_turn(
    weights: dict[str, Fraction], start: int, num: int, seed: int
) -> None:
    draws = mix(weights).draws(0, 4 * BLOCK, seed)
    assert mix(weights).draws(start, start + num, seed) == draws[start : start + num]
    positions = {name: [p for n, p in draws if n == name] for name in weights}
    assert all(found == list(range(len(found))) for found in positions.values())
    assert mix(weights).seen(start, seed) == {
        name: sum(n == name for n, _ in draws[:start]) for name in sorted(weights)
    }


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3000), min_size=1), st.data())
def test_passes_are_exact_at_the_end(sizes: dict[str, int], data: st.DataObject) -> None:
    wanted = {name: data.draw(st.sampled_from([0.5, 1, 1.25, 3])) for name in sizes}
    mixture = passes(sizes, wanted)
    rows = {name: int(wanted[name] * num + 0.5) for name, num in sizes.items()}
    assert mixture.num_draws == sum(rows.values())
    drawn = Counter(name for name, _ in mixture.draws(0, mixture.num_draws))
    assert drawn == Counter(rows) == Counter(mixture.seen(mixture.num_draws))


def test_inside_a_block_a_component_is_spread_as_by_chance() -> None:
    draws = mix({"a": 0.75, "b": 0.25}).draws(0, 40 * BLOCK)
    parts = [sum(name == "b" for name, _ in draws[i : i + 256]) for i in range(0, len(draws), 256)]
    # 64 of 256 are expected, with a standard deviation of 6.7 (drawn without replacement)
    assert 64 - 5 * 6.7 < min(parts) < 55 and 73 < max(parts) < 64 + 5 * 6.7


def test_a_float_weight_is_the_decimal_that_it_prints_as() -> None:
    assert mix({"a": 0.1, "b": 0.2, "c": 0.7}).seen(10 * BLOCK) == {"a": 4096, "b": 8192, "c": 28672}
    assert mix({"a": 1, "b": 2}).draws(0, 100) == mix({"b": 0.2, "a": Fraction(1, 10)}).draws(0, 100)


def test_seeds_draw_differently_and_share_alike() -> None:
    mixture = mix({"a": 2, "b": 1})
    assert mixture.draws(0, BLOCK, 1) != mixture.draws(0, BLOCK, 2)
    assert mixture.seen(BLOCK, 1) == mixture.seen(BLOCK, 2)


def test_a_mixture_ends_where_it_was_told_to() -> None:
    mixture = mix({"a": 2, "b": 1}, num_draws=100)
    assert mixture.draws(90, 100) == mix({"a": 2, "b": 1}).draws(90, 100)
    with pytest.raises(IndexError, match="draws 90 to 101 of 100"):
        mixture.draws(90, 101)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": 1}, "'b' is only among the components"),
        ({"a": 1, "b": 1, "z": 1}, "'z' is only among the weights"),
        ({"a": 1, "b": 0}, "the weight of 'b' is 0: it must be above 0"),
        ({"a": 1, "b": -2.5}, r"the weight of 'b' is -2\.5"),
        ({"a": 1, "b": float("nan")}, "the weight of 'b' is nan"),
        ({"a": 1, "b": float("inf")}, "the weight of 'b' is inf"),
    ],
)
def test_weights_that_cannot_be_are_named(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixture({"a": Rows(1), "b": Rows(1)}, weights)  # type: ignore[dict-item]


def test_a_component_without_rows_is_named(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    rows = corpus.open(tmp_path)
    with pytest.raises(ConfigError, match="component 'zh' of the mixture has no row; widen its filter"):
        Mixture({"all": rows, "zh": rows.filter(language="zh")}, {"all": 1, "zh": 1})
    with pytest.raises(ConfigError, match=r"0\.01 passes over the 20 rows of 'all' are no row"):
        Mixture.epochs({"all": rows}, {"all": 0.01})
    with pytest.raises(ConfigError, match="a mixture has 1 to 64 components, not 0"):
        Mixture({}, {})


def test_sixteen_million_draws_have_their_shares_in_any_block() -> None:
    mixture = passes({"captions": 9_000_000, "text": 4_900_000, "rare": 700}, {"captions": 1, "text": 0.5, "rare": 3})
    assert mixture.num_draws == 11_452_100
    middle = mixture.draws(6_000_000, 6_004_096)
    assert {name for name, _ in middle} >= {"captions", "text"}
    assert mixture.seen(mixture.num_draws) == {"captions": 9_000_000, "rare": 2100, "text": 2_450_000}
