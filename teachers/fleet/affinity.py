"""Which replica sees which picture: the same one every time, from every process, without a table."""

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from schemas.ask import Request

_MASK: Final = (1 << 64) - 1


class Replica(Protocol):
    """What can be chosen; `salt` is its own 64-bit number."""

    salt: int


Chosen = TypeVar("Chosen", bound=Replica)


def salt_of(url: str) -> int:
    """A replica's number, the same in every process."""
    return int.from_bytes(hashlib.sha256(url.encode()).digest()[:8], "big")


def affinity_of(request: Request, key: str) -> int:
    """The number of what a server may have cached: the first frame, or the request itself when it has none."""
    for turn in request.turns:
        if turn.frames:
            return int(turn.frames[0].sha256[:16], 16)
    return int(key[:16], 16)


def ranked(affinity: int, replicas: Sequence[Chosen]) -> list[Chosen]:
    """Replicas from the most to the least preferred: rendezvous hashing (Thaler and Ravishankar, 1998).

    When one leaves, only what preferred it moves.
    """
    return sorted(replicas, key=lambda replica: _mixed(affinity ^ replica.salt), reverse=True)


def _mixed(number: int) -> int:
    """Splitmix64's finalizer: every bit of the input reaches every bit of the output."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)
