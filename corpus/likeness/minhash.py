"""Which texts may be near to each other: MinHash signatures of word 5-grams, cut into bands."""

# pyright: reportAttributeAccessIssue=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (rensa has no stubs)

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from corpus.likeness.tokens import Hashes

BANDS: Final = 21
ROWS: Final = 6
"""126 permutations in bands of 6: a pair of Jaccard 0.8 is missed with (1 - 0.8^6)^21 = 0.2%, one of 0.9 never."""

WORDS: Final = 5
"""Tokens in a shingle: medical-data practice, and datatrove's and NeMo's default."""

_SEED: Final = 4
_CHUNK: Final = 4096

Bands = NDArray[np.uint32]
"""(texts, BANDS): equal numbers in a column make two texts candidates."""


def bands_of(texts: Iterable[Hashes]) -> Bands:
    """The bands of texts given by their shingles, in chunks: 84 bytes a text are kept."""
    parts = [_bands(chunk) for chunk in _chunks(texts)]
    return np.concatenate(parts) if parts else np.empty((0, BANDS), dtype=np.uint32)


def _chunks(texts: Iterable[Hashes]) -> Iterator[list[Hashes]]:
    chunk: list[Hashes] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _bands(chunk: list[Hashes]) -> Bands:
    ends = np.cumsum([0, *map(len, chunk)], dtype=np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(np.concatenate(chunk), ends, BANDS * ROWS, _SEED)
    digests = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(chunk), BANDS, ROWS)
    band = np.zeros((len(chunk), BANDS), dtype=np.uint64)
    for row in range(ROWS):
        band = (band ^ digests[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        band ^= band >> np.uint64(32)
    return (band >> np.uint64(32)).astype(np.uint32)
