"""What a source is: fixed shards of records that can be read by range."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from schemas.errors import PipelineError
from schemas.record import Record, Reject, SourceShard


class Source(Protocol):
    """A public dataset at a pinned revision. No tags are guessed here and no teacher is asked."""

    @property
    def id(self) -> str:
        """The catalogue id."""
        ...

    @property
    def revision(self) -> str:
        """What pins the data and the entry that reads it; part of every fingerprint."""
        ...

    def shards(self) -> Sequence[SourceShard]:
        """Stable order and count, known from the entry alone: no file is opened."""
        ...

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records `start` to `stop` of `shard`, and only those are read.

        A Reject takes the place of a record that cannot be used, so that positions stay stable.
        Raises SourceError where the data is missing or differs from the entry.
        """
        ...


class Refusal(PipelineError, ValueError):
    """One upstream item cannot be used: adapters turn it into a Reject with this reason and go on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["Refusal"], tuple[str, str]]:
        """Survive a process pool."""
        return type(self), (self.reason, self.detail)


def reject(record_id: str, refusal: Refusal) -> Reject:
    """The Reject that stands where the record would have stood."""
    return Reject(record_id=record_id, stage="source", reason=refusal.reason, detail=refusal.detail)
