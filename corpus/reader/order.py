"""The order in which rows are read: a pure function of (seed, epoch), by arithmetic that any language has.

All numbers are unsigned 64-bit integers; sums and products wrap. `mixed` is one step of SplitMix64 (Steele, Lea and
Flood, 2014), a bijection. The hash of words w1, w2, ... is `h = 0`, then `h = mixed(h ^ w)` for each. A text's word is
the first eight bytes, little-endian, of the SHA-256 of its UTF-8.

A batch's key is hash(word of its file's path, its number in the file): where it stands in a table means nothing.
One epoch: batches with at least one chosen row, ascending by hash(seed, epoch, key), are cut into windows: a batch
belongs to window (stored bytes of all batches before it) // window_bytes, whole messages counted. In a window, chosen
rows are ascending by hash(seed, epoch, key, k), where k numbers the batch's chosen rows from 0. Equal hashes keep
table order. So a place's row is found from its window alone, and nothing has to be remembered.
"""

import hashlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from corpus.compute import pc

if TYPE_CHECKING:
    from corpus.manifest.places import Places

WINDOW_BYTES: Final = 1 << 30
"""64 batches of 16 MiB: rows are as good as uniformly shuffled, and the page cache holds a window."""
MASK: Final = (1 << 64) - 1
STEP: Final = 0x9E3779B97F4A7C15
ROUNDS: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST_SHIFT: Final = 31
"""The constants of SplitMix64."""
NUM_KEPT: Final = 2
"""Windows, and epochs, that stay computed: a step may lie in two."""


def mixed(x: int) -> int:
    """One step of SplitMix64 from state `x`; 0 gives 0xE220A8397B1DCDAF."""
    x = (x + STEP) & MASK
    for shift, factor in ROUNDS:
        x = ((x ^ (x >> shift)) * factor) & MASK
    return x ^ (x >> LAST_SHIFT)


def mixed_array(x: Any) -> Any:
    """`mixed` of every element of a uint64 array."""
    x = pc.add(x, pa.scalar(STEP, pa.uint64()))
    for shift, factor in ROUNDS:
        x = pc.multiply(_folded(x, shift), pa.scalar(factor, pa.uint64()))
    return _folded(x, LAST_SHIFT)


def hash_of(*words: int) -> int:
    """The hash of some words."""
    value = 0
    for word in words:
        value = mixed(value ^ word)
    return value


def hash_array(prefix: int, words: Any) -> Any:
    """The hashes of (words behind `prefix`, word) for a uint64 array of last words; `prefix` is their `hash_of`."""
    return mixed_array(pc.bit_wise_xor(words, pa.scalar(prefix, pa.uint64())))


def word_of(text: str) -> int:
    """A text as a word."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def batch_keys(places: "Places") -> Any:
    """The key of every batch of a snapshot, as a uint64 array."""
    files = places.file_columns
    first = pa.array(places.file_first_batch, pa.int64())
    file = _parents(first)
    number = pc.subtract(numbers(len(places)), pc.take(first, file))
    words = pa.array([hash_of(word_of(path)) for path in files["path"]], pa.uint64())
    return mixed_array(pc.bit_wise_xor(pc.take(words, file), number.cast(pa.uint64())))


def numbers(num: int) -> Any:
    """0, 1, ... below `num`, as an int64 array."""
    return pc.subtract(pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), num)), 1)


@dataclass(frozen=True)
class Window:
    """Places [start, stop) of an epoch: the chosen rows of `batches`, shuffled.

    `batches` are batch numbers, `counts` their chosen rows, `hashes` their hashes in the epoch: Arrow arrays.
    """

    number: int
    start: int
    stop: int
    batches: Any
    counts: Any
    hashes: Any

    @cached_property
    def rows(self) -> tuple[Any, Any]:
        """(batch, k) of every place, as two int32 arrays."""
        first = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(self.counts)])
        batch = _parents(first)
        k = pc.subtract(numbers(self.stop - self.start), pc.take(first, batch))
        hashes = mixed_array(pc.bit_wise_xor(pc.take(self.hashes, batch), k.cast(pa.uint64())))
        at = pc.array_sort_indices(hashes)
        return pc.take(pc.take(self.batches, batch), at).cast(pa.int32()), pc.take(k, at).cast(pa.int32())

    def places(self, start: int, stop: int) -> list[tuple[int, int]]:
        """(batch, k) of the places [start, stop) of the epoch, which lie in this window."""
        first, num = start - self.start, stop - start
        batches, ks = self.rows
        return list(zip(batches.slice(first, num).to_pylist(), ks.slice(first, num).to_pylist(), strict=True))


class Order:
    """The order of a corpus's chosen rows, by epoch and place; both count from 0.

    `counts` are the chosen rows of every batch, `keys` what identifies it, `sizes` its stored bytes.
    """

    def __init__(
        self,
        counts: Sequence[int],
        keys: Iterable[int],
        sizes: Sequence[int],
        seed: int,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        every: Any = pa.array(counts, pa.int64())
        self._batches: Any = pc.indices_nonzero(every)
        self._counts: Any = pc.take(every, self._batches)
        self._keys: Any = pc.take(pa.array(keys, pa.uint64()), self._batches)
        self._sizes: Any = pc.take(pa.array(sizes, pa.int64()), self._batches)
        self._seed = seed & MASK
        self._window_bytes = window_bytes
        self._epochs: OrderedDict[int, _Epoch] = OrderedDict()
        self._windows: OrderedDict[tuple[int, int], Window] = OrderedDict()
        self.num_rows: int = pc.sum(self._counts).as_py() or 0

    def places(self, epoch: int, start: int, stop: int) -> list[tuple[int, int]]:
        """(batch, k) at places [start, stop) of an epoch: the batch's k-th chosen row. O(window).

        Raises IndexError where a place is not one of the epoch's `num_rows`.
        """
        if not 0 <= start <= stop <= self.num_rows:
            raise IndexError(f"places {start:,} to {stop:,} of {self.num_rows:,}")
        found: list[tuple[int, int]] = []
        while start < stop:
            window = self.window_at(epoch, start)
            end = min(stop, window.stop)
            found += window.places(start, end)
            start = end
        return found

    def window_at(self, epoch: int, place: int) -> Window:
        """The window that holds a place."""
        return self.window(epoch, bisect_right(self._epoch(epoch).window_starts, place) - 1)

    def window_after(self, epoch: int, window: Window) -> Window:
        """The next window: of the same epoch, or the first of the next one."""
        is_last = window.stop == self.num_rows
        return self.window(epoch + 1, 0) if is_last else self.window(epoch, window.number + 1)

    def _epoch(self, epoch: int) -> "_Epoch":
        return _kept(self._epochs, epoch, lambda: self._permuted(epoch))

    def window(self, epoch: int, number: int) -> Window:
        """The n-th window of an epoch."""
        return _kept(self._windows, (epoch, number), lambda: self._epoch(epoch).window(number))

    def _permuted(self, epoch: int) -> "_Epoch":
        hashes = hash_array(hash_of(self._seed, epoch), self._keys)
        at = pc.array_sort_indices(hashes)
        sizes, counts = pc.take(self._sizes, at), pc.take(self._counts, at)
        before = pc.subtract(pc.cumulative_sum(sizes), sizes)
        ends = pc.run_end_encode(pc.divide(before, self._window_bytes)).run_ends.to_pylist()
        rows = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(counts)])
        starts = [0, *ends]
        return _Epoch(
            pc.take(self._batches, at), counts, pc.take(hashes, at), starts, pc.take(rows, starts).to_pylist()
        )


@dataclass(frozen=True, slots=True)
class _Epoch:
    """The batches of one epoch in their order; where windows start, counted in batches and in rows, ends included."""

    batches: Any
    counts: Any
    hashes: Any
    batch_starts: list[int]
    window_starts: list[int]

    def window(self, number: int) -> Window:
        first, end = self.batch_starts[number : number + 2]
        start, stop = self.window_starts[number : number + 2]
        columns = (column.slice(first, end - first) for column in (self.batches, self.counts, self.hashes))
        return Window(number, start, stop, *columns)


def _kept(cache: OrderedDict[Any, Any], key: Any, make: Any) -> Any:
    """The value of `key`, made where it is not among the `NUM_KEPT` last used."""
    if key not in cache:
        cache[key] = make()
        if len(cache) > NUM_KEPT:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]


def _folded(x: Any, shift: int) -> Any:
    return pc.bit_wise_xor(x, pc.shift_right(x, pa.scalar(shift, pa.uint64())))


def _parents(first: Any) -> Any:
    """For each of the things counted by `first` (starts and the end), the number of the group it is in."""
    lists: Any = pa.LargeListArray
    return pc.list_parent_indices(lists.from_arrays(first, pa.nulls(first[-1].as_py())))
