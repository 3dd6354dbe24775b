"""Texts as tokens and as hashes of runs of tokens; scripts without spaces go by characters."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_UNSPACED: Final = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff])")
"""Thai, Lao, Burmese, Khmer, kana and Han are written without spaces: each character is a token."""

_TOKEN: Final = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_STEM: Final = 6
"""Letters that a word is compared by where inflection should not count: treat, treated, treatment."""

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: the multiplier of Fibonacci hashing."""


def tokens(text: str) -> list[str]:
    """Words, numbers and single unspaced characters, compatibility forms and case folded away."""
    if text.isascii():
        return _TOKEN.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _TOKEN.findall(_UNSPACED.sub(r" \1 ", folded))


def normal(text: str) -> str:
    """The tokens with a space between: what two texts share that differ in case, marks and spaces only."""
    return " ".join(tokens(text))


def terms(words: list[str]) -> list[str]:
    """What a text is about, order aside: words cut to a stem, numbers as they are, unspaced characters in pairs.

    There is one term per token, so that positions agree; the last of a run of unspaced characters stands alone.
    """
    found = [word[:_STEM] if len(word) > _STEM and not word[0].isdigit() else word for word in words]
    for k, (word, after) in enumerate(pairwise(words)):
        if _UNSPACED.match(word) and _UNSPACED.match(after):
            found[k] = word + after
    return found


@lru_cache(maxsize=1 << 17)
def hash_of(token: str) -> int:
    """A token's 64 bits, the same on every machine."""
    return xxhash.xxh3_64_intdigest(token.encode())


def runs(words: list[str], length: int) -> Hashes:
    """A hash of every run of `length` tokens, in order: (len(words) - length + 1,); a shorter text is one run."""
    hashes = np.fromiter(map(hash_of, words), dtype=np.uint64, count=len(words))
    length = min(length, len(words))
    if not length:
        return hashes
    num = len(words) - length + 1
    run = np.zeros(num, dtype=np.uint64)
    for k in range(length):
        run = (run ^ hashes[k : k + num]) * _ODD
        run ^= run >> np.uint64(29)
    return run


def shingles(text: str, length: int) -> Hashes:
    """The distinct hashes of runs of a text, ascending."""
    return np.unique(runs(tokens(text), length))


def jaccard(one: Hashes, other: Hashes) -> float:
    """Shared over all, of two ascending arrays of distinct hashes; two empty texts are equal."""
    if not len(one) and not len(other):
        return 1.0
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
