"""Shape `image-files`: one photograph or micrograph, one record, with the publisher's facts in the entry."""

from typing import ClassVar

from schemas.record import Facts, Hints, Media, Record
from sources.entry import Item, Shape
from sources.files import origin, sha256
from sources.shapes.adapter import FileByFile, record_of


class ImageFiles(FileByFile):
    """Ordinary picture files named one by one; JPEG frames, since the originals are photographs."""

    shape: ClassVar[Shape] = "image-files"

    def read(self, item: Item, data: bytes) -> Record:
        """The record of one file."""
        from sources.render import encode

        pixels = encode.decode(data)
        encode.check_content(pixels)
        frame = encode.encode(encode.blank(pixels, item.mask), self._entry.max_side, "image/jpeg")
        tags = self._entry.tags
        return record_of(
            self._entry,
            id=item.id,
            group_id=item.group or item.id,
            media=(Media("image", (frame,), sha256(data), origin(self._entry, item.file)),),
            facts=Facts(caption=item.caption, labels=item.labels, metadata=dict(item.metadata)),
            hints=Hints(
                modality=item.tags.modality or tags.modality,
                organ_system=item.tags.organ_system or tags.organ_system,
                scope=item.tags.scope or tags.scope,
                text=". ".join((item.caption, *item.labels)),
            ),
        )
