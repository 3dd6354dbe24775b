"""The order of rows: a permutation of each epoch, the same however it is asked for, and well mixed."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpus
from corpus.changing.taking import take_snapshot
from corpus.commit.shards import Limits
from corpus.reader.order import Order, batch_keys, hash_of, mixed, word_of
from tests.support.corpora import commit
from tests.support.samples import make_samples, make_task

WORD = st.integers(0, 2**64 - 1)
BATCHES = st.lists(st.tuples(st.integers(0, 9), WORD, st.integers(1, 50)), min_size=1, max_size=30)


def by_definition(batches: list[tuple[int, int, int]], seed: int, epoch: int, window_bytes: int) -> list[list]:
    """The order as the docstring defines it, window by window, with plain integers."""
    found = [(hash_of(seed, epoch, key), b) for b, (count, key, _) in enumerate(batches) if count]
    windows: dict[int, list] = {}
    before = 0
    for _, b in sorted(found):
        windows.setdefault(before // window_bytes, []).append(b)
        before += batches[b][2]
    return [
        [(b, k) for *_, b, k in sorted((hash_of(seed, epoch, batches[b][1], k), i, b, k) for i, b, k in rows)]
        for rows in (
            [(i, b, k) for i, b in enumerate(window) for k in range(batches[b][0])] for window in windows.values()
        )
    ]


def order_of(batches: list[tuple[int, int, int]], seed: int, window_bytes: int) -> Order:
    counts, keys, sizes = zip(*batches, strict=True)
    return Order(counts, keys, sizes, seed, window_bytes)


def test_the_hash_is_splitmix64() -> None:
    # the first outputs of the generator with seed 0, as its authors' reference code gives them
    assert [mixed(i * 0x9E3779B97F4A7C15 % 2**64) for i in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert word_of("data/a.arrow") == 0x83132B89FA3EC99A


@settings(deadline=None)
@given(BATCHES, WORD, st.integers(0, 3), st.integers(1, 200))
def test_the_order_is_the_one_that_is_written_down(
    batches: list[tuple[int, int, int]], seed: int, epoch: int, window_bytes: int
) -> None:
    order = order_of(batches, seed, window_bytes)
    expected = [place for window in by_definition(batches, seed, epoch, window_bytes) for place in window]
    assert order.places(epoch, 0, order.num_rows) == expected
    assert sorted(expected) == [(b, k) for b, (count, _, _) in enumerate(batches) for k in range(count)]


@settings(deadline=None)
@given(BATCHES, st.integers(1, 200), st.data())
def test_any_slice_is_the_same_without_what_came_before(
    batches: list[tuple[int, int, int]], window_bytes: int, data: st.DataObject
) -> None:
    order = order_of(batches, 5, window_bytes)
    whole = order.places(1, 0, order.num_rows)
    start = data.draw(st.integers(0, order.num_rows))
    stop = data.draw(st.integers(start, order.num_rows))
    assert order_of(batches, 5, window_bytes).places(1, start, stop) == whole[start:stop]
    assert order.places(0, 0, order.num_rows) == order_of(batches, 5, window_bytes).places(0, 0, order.num_rows)


@settings(deadline=None)
@given(BATCHES.filter(lambda batches: any(count for count, *_ in batches)), st.integers(1, 200))
def test_windows_follow_each_other_into_the_next_epoch(batches: list[tuple[int, int, int]], window_bytes: int) -> None:
    order = order_of(batches, 5, window_bytes)
    window, start = order.window_at(2, 0), 0
    while window.stop < order.num_rows:
        assert window.start == start
        start, window = window.stop, order.window_after(2, window)
    after = order.window_after(2, window)
    assert after.places(0, after.stop) == order.places(3, 0, after.stop)


def test_a_place_that_there_is_not_is_an_error() -> None:
    order = Order([3, 2], [1, 2], [10, 10], 0)
    with pytest.raises(IndexError, match="places 4 to 6 of 5"):
        order.places(0, 4, 6)
    assert Order([0], [1], [10], 0).places(0, 0, 0) == []


def test_what_a_batch_is_called_decides_not_where_it_stands() -> None:
    counts, keys, sizes = [4, 5, 6, 7], [11, 22, 33, 44], [10, 20, 30, 40]
    one = Order(counts, keys, sizes, 1, 35).places(0, 0, 22)
    back = Order(counts[::-1], keys[::-1], sizes[::-1], 1, 35).places(0, 0, 22)
    assert [(3 - batch, k) for batch, k in back] == one


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def of(seed: int, epoch: int) -> list[tuple[int, int]]:
        return Order([50] * 20, range(20), [1] * 20, seed).places(epoch, 0, 1000)

    assert len({tuple(of(seed, epoch)) for seed in (0, 1, -1) for epoch in range(3)}) == 9
    same = sum(a == b for a, b in zip(of(0, 0), of(0, 1), strict=True))
    assert same < 10  # 1 is expected by chance


@pytest.mark.parametrize("num_windows", [1, 3])
def test_rows_are_as_mixed_as_chance_mixes_them(num_windows: int) -> None:
    num, per_batch = 20_000, 100
    order = Order([per_batch] * 200, map(mixed, range(200)), [1] * 200, 7, -(-200 // num_windows))
    stored = [batch * per_batch + k for batch, k in order.places(0, 0, num)]
    displacement = sum(abs(at - row) for at, row in enumerate(stored)) / num / num
    near = sum(abs(a - b) <= 100 for a, b in pairwise(stored)) / num
    # uniform: 1/3, and 2 * 100 / 20,000; in one of three windows rows of one batch stand thrice as near
    assert displacement == pytest.approx(1 / 3, abs=0.02)
    assert near < 0.012 * num_windows
    sources = [len({row // 1000 for row in stored[i : i + 1000]}) for i in range(0, num, 1000)]
    assert min(sources) >= 19 - (num_windows > 1)


def test_a_batchs_key_is_of_its_path_and_its_number_in_the_file(tmp_path: Path) -> None:
    task = make_task(0, 40)
    commit(tmp_path, task, make_samples(0, 40), limits=Limits(batch_rows=3))
    take_snapshot(tmp_path, [task])
    places = corpus.open(tmp_path).places
    expected = [
        hash_of(word_of(path), number)
        for path, num in zip(places.file_columns["path"], places.file_columns["num_batches"], strict=True)
        for number in range(num)
    ]
    assert batch_keys(places).to_pylist() == expected
    assert len(set(expected)) == len(places) > 8


def test_sixteen_million_rows_are_found_from_the_middle() -> None:
    order = Order([500] * 33_000, range(33_000), [16 << 20] * 33_000, 1)
    assert order.num_rows == 16_500_000
    places = order.places(1, 8_000_000, 8_000_064)
    assert len({batch for batch, _ in places}) > 32
