"""Shape `dicom-files`: one DICOM file, one still image, one record."""

from typing import ClassVar

from schemas.record import Facts, Media, Record
from sources.entry import Item, Shape
from sources.files import origin, sha256
from sources.shapes.adapter import FileByFile, record_of
from sources.shapes.items import facts_metadata, hints_of


class DicomFiles(FileByFile):
    """Still images from DICOM files named one by one; PNG frames, since rendering is lossless here."""

    shape: ClassVar[Shape] = "dicom-files"

    def read(self, item: Item, data: bytes) -> Record:
        """The record of one file."""
        from sources import privacy
        from sources.render import dicom, encode, orient

        ds = dicom.read(data)
        privacy.check_burned_in(ds, item.reviewed)
        rendered = dicom.render(ds, item.frame, item.window)
        pixels = orient.upright(ds, encode.blank(rendered.pixels, item.mask), item.frame or 0)
        frame = encode.encode(pixels, self._entry.max_side, "image/png")
        header = privacy.metadata(ds)
        media = Media("image", (frame,), sha256(data), origin(self._entry, item.file), window=rendered.window)
        return record_of(
            self._entry,
            id=item.id,
            group_id=item.group or privacy.group_of(ds),
            media=(media,),
            facts=Facts(caption=item.caption, labels=item.labels, metadata=facts_metadata(header, item)),
            hints=hints_of(ds, self._entry, item, header),
        )
