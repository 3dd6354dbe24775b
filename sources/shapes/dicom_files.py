"""Shape `dicom-files`: one DICOM file, one still image, one record."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from schemas.record import Facts, Media, Record, Reject, SourceShard
from sources.entry import Entry, Item, Shape
from sources.files import origin, sha256
from sources.shapes.items import facts_metadata, hints_of, read_items


class DicomFiles:
    """Still images from DICOM files named one by one; PNG frames, since rendering is lossless here."""

    shape: ClassVar[Shape] = "dicom-files"

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
        from sources import privacy
        from sources.render import dicom, encode, orient

        ds = dicom.read(data)
        privacy.check_burned_in(ds, item.reviewed)
        rendered = dicom.render(ds, item.frame, item.window)
        pixels = orient.upright(ds, encode.blank(rendered.pixels, item.mask), item.frame or 0)
        frame = encode.encode(pixels, self._entry.max_side, "image/png")
        header = privacy.metadata(ds)
        media = Media("image", (frame,), sha256(data), origin(self._entry, item.file), window=rendered.window)
        return Record(
            id=item.id,
            source=self.id,
            source_revision=self.revision,
            group_id=item.group or privacy.group_of(ds),
            terms=self._entry.terms,
            media=(media,),
            facts=Facts(caption=item.caption, labels=item.labels, metadata=facts_metadata(header, item)),
            hints=hints_of(ds, self._entry, item, header),
            language=self._entry.language,
            domain=self._entry.domain,
        )
