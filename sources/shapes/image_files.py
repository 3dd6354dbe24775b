"""Shape `image-files`: one photograph or micrograph, one record, with the publisher's facts in the entry."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from schemas.record import Facts, Hints, Media, Record, Reject, SourceShard
from sources.entry import Entry, Item, Shape
from sources.files import origin, sha256
from sources.shapes.items import read_items


class ImageFiles:
    """Ordinary picture files named one by one; JPEG frames, since the originals are photographs."""

    shape: ClassVar[Shape] = "image-files"

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    @property
    def id(self) -> str:
        """The catalogue id."""
        return self._entry.id

    @property
    def revision(self) -> str:
        """Pinned packages and the entry's hash."""
        return self._entry.revision

    def shards(self) -> Sequence[SourceShard]:
        """One shard: the entry's items in order."""
        return (SourceShard("items", self._entry.records),)

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the items in the range; only their files are opened."""
        return read_items(self._entry, start, stop, self._read)

    def _read(self, item: Item, data: bytes) -> Record:
        from sources.render import encode

        pixels = encode.decode(data)
        encode.check_content(pixels)
        frame = encode.encode(encode.blank(pixels, item.mask), self._entry.max_side, "image/jpeg")
        tags = self._entry.tags
        return Record(
            id=item.id,
            source=self.id,
            source_revision=self.revision,
            group_id=item.group or item.id,
            terms=self._entry.terms,
            media=(Media("image", (frame,), sha256(data), origin(self._entry, item.file)),),
            facts=Facts(caption=item.caption, labels=item.labels, metadata=dict(item.metadata)),
            hints=Hints(
                modality=item.tags.modality or tags.modality,
                organ_system=item.tags.organ_system or tags.organ_system,
                scope=item.tags.scope or tags.scope,
                text=". ".join((item.caption, *item.labels)),
            ),
            language=self._entry.language,
            domain=self._entry.domain,
        )
