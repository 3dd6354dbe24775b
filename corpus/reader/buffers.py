"""Values out of Arrow buffers, one or many at a time, for the types that our columns have."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# (pyarrow's stubs leave type parameters open)

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final, Literal

import pyarrow as pa

Blobs = Literal["view", "bytes"]
Buffers = Iterator["pa.Buffer | None"]
"""An array's buffers as `pa.Array.buffers` has them: its own, then those of its children."""


Reads = tuple[Callable[[int], Any], Callable[[int, int], list[Any]]]
"""What reads an array's values, counted from its first: one, or those of rows [first, stop)."""
Bind = Callable[[Any, Buffers], Reads]
"""An array and its buffers, as what reads it; made once for a type."""

NUMBERS: Final = ((pa.int32(), "i", 4), (pa.int64(), "q", 8), (pa.float64(), "d", 8))
"""Types whose values lie side by side, what `memoryview.cast` calls them, and their bytes."""


def binding(kind: pa.DataType, blobs: Blobs = "view") -> Bind:
    """What makes the reader of an array: None where it is null, nested values as lists and dictionaries.

    A type that no column of ours has is left to Arrow, all of it.
    """
    try:
        return _nullable(kind, blobs)
    except NotImplementedError:
        return lambda array, buffers: (
            lambda i: array[i].as_py(),
            lambda first, stop: array.slice(first, stop - first).to_pylist(),
        )


def _nullable(kind: Any, blobs: Blobs) -> Bind:
    present = _present(kind, blobs)

    def bind(array: Any, buffers: Buffers) -> Reads:
        valid = next(buffers)
        one, many = present(array, buffers)
        if valid is None:
            return (one, many)
        if array.null_count == len(array):
            return (lambda i: None, lambda first, stop: [None] * (stop - first))
        is_valid, are_valid = _bits(_bytes(valid), array.offset)

        def nullable(first: int, stop: int) -> list[Any]:
            pairs = zip(many(first, stop), are_valid(first, stop), strict=True)
            return [value if there else None for value, there in pairs]

        return (lambda i: one(i) if is_valid(i) else None, nullable)

    return bind


def _present(kind: Any, blobs: Blobs) -> Bind:
    """What makes the reader of values that are not null; its buffers begin after the validity bits."""
    if pa.types.is_string(kind):
        return _bind_strings
    if pa.types.is_binary(kind):
        return _bind_views if blobs == "view" else _bind_bytes
    if pa.types.is_boolean(kind):
        return lambda array, buffers: _bits(_bytes(next(buffers)), array.offset)
    for known, letter, size in NUMBERS:
        if kind == known:
            return _binding_numbers(letter, size)
    if pa.types.is_list(kind):
        return _binding_lists(_nullable(kind.value_type, blobs))
    if pa.types.is_struct(kind):
        fields = [kind.field(k) for k in range(kind.num_fields)]
        return _binding_structs([field.name for field in fields], [_nullable(field.type, blobs) for field in fields])
    raise NotImplementedError(str(kind))


def _bind_strings(array: Any, buffers: Buffers) -> Reads:
    ends, data = _ends(array, buffers), _bytes(next(buffers))

    def many(first: int, stop: int) -> list[Any]:
        edges = ends[first : stop + 1].tolist()
        start = edges[0]
        text = str(data[start : edges[-1]], "utf-8")
        if text.isascii():  # then a character is a byte
            return [text[a - start : b - start] for a, b in pairwise(edges)]
        return [str(data[a:b], "utf-8") for a, b in pairwise(edges)]

    return (lambda i: str(data[ends[i] : ends[i + 1]], "utf-8"), many)


def _bind_views(array: Any, buffers: Buffers) -> Reads:
    ends, data = _ends(array, buffers), _bytes(next(buffers))
    return (
        lambda i: data[ends[i] : ends[i + 1]],
        lambda first, stop: [data[a:b] for a, b in pairwise(ends[first : stop + 1].tolist())],
    )


def _bind_bytes(array: Any, buffers: Buffers) -> Reads:
    one, many = _bind_views(array, buffers)
    return (lambda i: bytes(one(i)), lambda first, stop: [bytes(view) for view in many(first, stop)])


def _binding_numbers(letter: Any, size: int) -> Bind:
    def bind(array: Any, buffers: Buffers) -> Reads:
        numbers = _numbers(next(buffers), letter, size, array.offset)
        return (numbers.__getitem__, lambda first, stop: numbers[first:stop].tolist())

    return bind


def _binding_lists(item: Bind) -> Bind:
    def bind(array: Any, buffers: Buffers) -> Reads:
        ends = _ends(array, buffers)
        one, many = item(array.values, buffers)

        def lists(first: int, stop: int) -> list[Any]:
            edges = ends[first : stop + 1].tolist()
            start = edges[0]
            values = many(start, edges[-1])
            return [values[a - start : b - start] for a, b in pairwise(edges)]

        return (lambda i: [one(k) for k in range(ends[i], ends[i + 1])], lists)

    return bind


def _binding_structs(names: list[str], fields: list[Bind]) -> Bind:
    def bind(array: Any, buffers: Buffers) -> Reads:
        # a field is already moved by the struct's own offset
        reads = [make(array.field(k), buffers) for k, make in enumerate(fields)]
        if len(reads) == 2:  # messages, their parts and images: half the time
            (a, b), ((one_a, many_a), (one_b, many_b)) = names, reads
            return (
                lambda i: {a: one_a(i), b: one_b(i)},
                lambda first, stop: [
                    {a: x, b: y} for x, y in zip(many_a(first, stop), many_b(first, stop), strict=True)
                ],
            )
        ones, manys = [(name, one) for name, (one, _) in zip(names, reads, strict=True)], [many for _, many in reads]
        return (
            lambda i: {name: one(i) for name, one in ones},
            lambda first, stop: [
                dict(zip(names, values, strict=True))
                for values in zip(*[many(first, stop) for many in manys], strict=True)
            ],
        )

    return bind


def _bits(bits: memoryview, start: int) -> Reads:
    return (
        lambda i: bits[(start + i) >> 3] >> ((start + i) & 7) & 1 == 1,
        lambda first, stop: [bits[k >> 3] >> (k & 7) & 1 == 1 for k in range(start + first, start + stop)],
    )


def _bytes(buffer: "pa.Buffer | None") -> memoryview:
    return memoryview(buffer or b"").cast("B")  # pyright: ignore[reportArgumentType]  # it has the buffer protocol


def _ends(array: Any, buffers: Buffers) -> Any:
    """Where each value begins and the last ends, from the array's first one on."""
    return _numbers(next(buffers), "i", 4, array.offset)


def _numbers(buffer: "pa.Buffer | None", letter: Any, size: int, start: int) -> Any:
    """A buffer's numbers from the array's first one on."""
    data = memoryview(buffer or b"")  # pyright: ignore[reportArgumentType]
    rest = data.nbytes % size
    numbers = (data[:-rest] if rest else data).cast(letter)
    return numbers[start:] if start else numbers
