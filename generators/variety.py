"""Variety without lots: every choice is a hash of the seed, the record and what is chosen."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def number(seed: int, *keys: object) -> int:
    """A whole number below 2**31 that only `seed` and `keys` decide."""
    text = "\x00".join(map(str, (seed, *keys)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def pick(items: Sequence[Item], seed: int, *keys: object) -> Item:
    """One of `items` (not empty)."""
    return items[number(seed, *keys) % len(items)]


def shuffled(items: Sequence[Item], seed: int, *keys: object) -> tuple[Item, ...]:
    """All of `items`, in an order that `seed` and `keys` decide."""
    order = sorted(range(len(items)), key=lambda index: number(seed, *keys, index, items[index]))
    return tuple(items[index] for index in order)
