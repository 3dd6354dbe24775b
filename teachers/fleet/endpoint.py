"""One endpoint of a teacher: its client, its pace, and whether it is well."""

import random
from typing import Final

from teachers.fleet.affinity import salt_of
from teachers.fleet.aimd import Aimd
from teachers.wire.client import Client

NUM_FAILURES: Final = 5
"""So many failures in a row, and an endpoint that has healthy replicas is drained."""

PROBE_S: Final = 0.25
"""The first look at a drained endpoint comes after this many seconds; each later one half as much later again."""

MAX_PROBE_S: Final = 5.0
"""Longest time between two looks, in seconds."""


class Endpoint:
    """A client with its limit and its health; `salt` is its number in rendezvous hashing."""

    def __init__(self, client: Client, ceiling: int) -> None:
        self.client = client
        self.salt = salt_of(client.url)
        self.pace = Aimd(ceiling)
        self.is_sick = False
        self._num_failed = 0

    def answered(self, seconds: float) -> None:
        """Note an answer that took so many seconds."""
        self._num_failed = 0
        self.pace.succeeded(seconds)

    def failed(self) -> bool:
        """Note a failure that may be the endpoint's; whether they are now too many."""
        self._num_failed += 1
        return self._num_failed >= NUM_FAILURES

    def recovered(self) -> None:
        """Take it in again, with few requests at first."""
        self.is_sick = False
        self._num_failed = 0
        self.pace.restart()


def probe_pause(number: int) -> float:
    """Seconds before look number `number` (0 for the first) at a drained endpoint."""
    return min(MAX_PROBE_S, PROBE_S * 1.5**number) * random.uniform(0.75, 1.0)
