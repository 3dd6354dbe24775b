"""Shape `dicom-cine`: one multi-frame DICOM file, one video, one record."""

from typing import ClassVar

from schemas.record import Facts, Media, Record
from sources.base import Refusal
from sources.entry import Item, Shape
from sources.files import origin, sha256
from sources.shapes.adapter import FileByFile, record_of
from sources.shapes.items import facts_metadata, hints_of


class DicomCine(FileByFile):
    """Cines as at most `max_frames` evenly spaced frames with the times that the header states."""

    shape: ClassVar[Shape] = "dicom-cine"

    def read(self, item: Item, data: bytes) -> Record:
        """The record of one file."""
        from sources import privacy
        from sources.render import dicom

        ds = dicom.read(data)
        privacy.check_burned_in(ds, item.reviewed)
        media, seconds = self._media(ds, item, data)
        header = {**privacy.metadata(ds), "duration": f"{seconds:.3g} s"}
        return record_of(
            self._entry,
            id=item.id,
            group_id=item.group or privacy.group_of(ds),
            media=(media,),
            facts=Facts(caption=item.caption, labels=item.labels, metadata=facts_metadata(header, item)),
            hints=hints_of(ds, self._entry, item, header),
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
