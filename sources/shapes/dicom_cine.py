"""Shape `dicom-cine`: one multi-frame DICOM file, one video, one record."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from schemas.record import Facts, Media, Record, Reject, SourceShard
from sources.base import Refusal
from sources.entry import Entry, Item, Shape
from sources.files import origin, sha256
from sources.shapes.items import facts_metadata, hints_of, read_items


class DicomCine:
    """Cines as at most `max_frames` evenly spaced frames with the times that the header states."""

    shape: ClassVar[Shape] = "dicom-cine"

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
        """Records of the items in the range; only their files are opened, only the kept frames decoded."""
        return read_items(self._entry, start, stop, self._read)

    def _read(self, item: Item, data: bytes) -> Record:
        from sources import privacy
        from sources.render import dicom

        ds = dicom.read(data)
        privacy.check_burned_in(ds, item.reviewed)
        media, seconds = self._media(ds, item, data)
        header = {**privacy.metadata(ds), "duration": f"{seconds:.3g} s"}
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

    def _media(self, ds: object, item: Item, data: bytes) -> tuple[Media, float]:
        """The sampled frames, and how long the whole cine lasts in seconds."""
        from sources.render import dicom, encode, video

        total = dicom.num_frames(ds)
        if total < 2:
            raise Refusal("not-a-cine", f"{total} frame")
        times = video.cine_times(ds, total)
        indices = video.sample_indices(total, self._entry.max_frames)
        rendered = dicom.render_frames(ds, indices, item.window)
        for frame in rendered:
            encode.check_content(frame.pixels)
        pictures = (encode.blank(frame.pixels, item.mask) for frame in rendered)
        frames = tuple(encode.encode(picture, self._entry.max_side, "image/jpeg") for picture in pictures)
        media = Media(
            "video",
            frames,
            sha256(data),
            origin(self._entry, item.file),
            times=tuple(times[index] for index in indices),
            window=rendered[0].window,
        )
        return media, times[-1] + (times[-1] - times[0]) / (total - 1)
