"""What every adapter is: a catalogue entry whose records are one shard."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from schemas.record import Facts, Hints, Media, Record, Reject, SourceShard
from sources.base import Refusal, reject
from sources.entry import Entry, Item, Shape
from sources.files import check_packages, locate


def record_of(entry: Entry, id: str, group_id: str, media: tuple[Media, ...], facts: Facts, hints: Hints) -> Record:
    """A record with what its entry says of all of them."""
    return Record(
        id=id,
        source=entry.id,
        source_revision=entry.revision,
        group_id=group_id,
        terms=entry.terms,
        media=media,
        facts=facts,
        hints=hints,
        language=entry.language,
        domain=entry.domain,
        groups=entry.groups,
    )


class Adapter:
    """An opened entry. `unit` names its one shard after what it holds: items, lines, views, questions."""

    shape: ClassVar[Shape]
    unit: ClassVar[str]

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._revision, self._terms = entry.revision, entry.terms  # worked out once: every record carries them

    @property
    def id(self) -> str:
        """The catalogue id."""
        return self._entry.id

    @property
    def revision(self) -> str:
        """What is pinned, and the entry's hash."""
        return self._revision

    def shards(self) -> Sequence[SourceShard]:
        """One shard, in the entry's order."""
        return (SourceShard(self.unit, self._entry.records),)


class FileByFile(Adapter, ABC):
    """An adapter whose entry lists its files, one record each."""

    unit: ClassVar[str] = "items"

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the items in the range; only their files are opened."""
        check_packages(self._entry)
        for item in self._entry.items[start:stop]:
            try:
                yield self.read(item, locate(self._entry, item.file).read_bytes())
            except Refusal as refusal:
                yield reject(item.id, refusal)

    @abstractmethod
    def read(self, item: Item, data: bytes) -> Record:
        """The record of one file's bytes. Raises Refusal where they cannot be used."""
