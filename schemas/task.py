"""A task: a fixed range of one source's records for one flow, and what it is made from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """The unit of work and of commit.

    `recipe` is everything that decides the output except the range: source revision, generator,
    options, gates, prompts, teacher identity, code hash, seed. It holds names, numbers and hashes only.
    `start` and `stop` count records of the source's shard.
    """

    flow: str
    source: str
    shard: str
    start: int
    stop: int
    recipe: Mapping[str, Any] = field(repr=False)

    @property
    def recipe_sha256(self) -> str:
        """The recipe's hash: tasks with the same one make the same rows from the same records."""
        return _digest(self.recipe)

    @property
    def fingerprint(self) -> str:
        """The task's name: 32 hex characters of the hash of recipe and range."""
        return _digest([self.flow, self.source, self.shard, self.start, self.stop, self.recipe_sha256])[:32]

    @property
    def num_records(self) -> int:
        """How many records, rejects included."""
        return self.stop - self.start

    @property
    def title(self) -> str:
        """A name that a person recognizes."""
        return f"{self.flow} {self.source} {self.shard} [{self.start}:{self.stop}]"


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class Tally:
    """What happened to a task's records of one cell (organ system or scope, modality)."""

    organ: str
    modality: str
    num_in: int = 0
    num_generated: int = 0
    num_kept: int = 0
    rejected: dict[str, int] = field(default_factory=dict[str, int])
    num_requests: int = 0
    num_replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
