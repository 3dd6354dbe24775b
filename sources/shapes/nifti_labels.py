"""Shape `nifti-labels`: one volume with an anatomical label map, one record per view of its regions."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from schemas.errors import SourceError
from schemas.record import Facts, Hints, Media, Record, Reject, SourceShard
from sources.base import Refusal, reject
from sources.entry import Entry, Shape, View, Volume
from sources.files import check_packages, locate, origin, sha256
from sources.shapes.adapter import Adapter, record_of

if TYPE_CHECKING:
    from sources.render import volume as volumes


@dataclass(frozen=True, slots=True)
class Atlas:
    """A volume in LPS, its labels on the same grid, and what each label is called and measures in mL."""

    volume: "volumes.Volume"
    labels: Any
    names: dict[int, str]
    raw: dict[str, int]
    millilitres: dict[int, float]
    bounds: tuple[float, float]
    sha256: str


class NiftiLabels(Adapter):
    """Key slices through named regions: what the label map says is visible is what the facts say."""

    shape: ClassVar[Shape] = "nifti-labels"
    unit: ClassVar[str] = "views"

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        """Records of the views in the range. The volume is read once per call."""
        check_packages(self._entry)
        spec = _spec(self._entry)
        views = spec.views[start:stop]
        atlas = load_atlas(self._entry, spec) if views else None
        for view in views:
            try:
                yield self._read(atlas, spec, view) if atlas else reject(view.id, Refusal("no-volume"))
            except Refusal as refusal:
                yield reject(view.id, refusal)

    def _read(self, atlas: Atlas, spec: Volume, view: View) -> Record:
        media, visible = _render(self._entry, atlas, spec, view)
        names = [atlas.names[label] for label in visible]
        volumes_ml = {atlas.names[label]: f"{atlas.millilitres[label]:.1f} mL" for label in visible}
        return record_of(
            self._entry,
            id=view.id,
            group_id=self.id,
            media=(media,),
            facts=Facts(
                caption=view.title,
                labels=tuple(names),
                metadata={**spec.metadata, "plane": view.plane, **volumes_ml},
            ),
            hints=Hints(
                modality=self._entry.tags.modality,
                organ_system=self._entry.tags.organ_system,
                scope=self._entry.tags.scope,
                text=". ".join((view.title, *names)),
            ),
        )


def load_atlas(entry: Entry, spec: Volume) -> Atlas:
    """The volume, its labels resampled to its grid, and their names.

    Raises SourceError where a file is missing or the two grids do not show the same head.
    """
    from sources.render import volume as volumes
    from sources.render.windows import percentile_bounds

    path = locate(entry, spec.file)
    volume = volumes.load(path)
    native = volumes.load(locate(entry, spec.labels))
    labels = volumes.resample_labels(native, volume)
    check_alignment(entry, spec, labels)
    counts = _counts(native.voxels)
    raw = _read_names(locate(entry, spec.names))
    return Atlas(
        volume=volume,
        labels=labels,
        names={index: plain_name(name, spec) for name, index in raw.items()},
        raw=raw,
        millilitres={label: count * native.voxel_ml for label, count in counts.items()},
        bounds=percentile_bounds(volume.voxels[volume.voxels > 0].astype(float)),
        sha256=sha256(path.read_bytes()),
    )


def check_alignment(entry: Entry, spec: Volume, labels: Any) -> None:
    """Raise SourceError unless enough of the label map lies in tissue of the volume's own maps."""
    if not spec.tissue:
        return
    share = agreement(entry, spec, labels)
    if share < spec.min_agreement:
        raise SourceError(
            f"source {entry.id!r}: only {share:.0%} of the label map lies in tissue, at least "
            f"{spec.min_agreement:.0%} is expected; the volume and its labels are not aligned"
        )


def agreement(entry: Entry, spec: Volume, labels: Any) -> float:
    """The share of labelled voxels whose summed tissue probability (0-255 maps) is over one half."""
    from sources.render import volume as volumes

    maps = [volumes.load(locate(entry, file)).voxels.astype(int) for file in spec.tissue]
    brain = sum(maps) > 127
    return float((brain & (labels > 0)).sum()) / max(1, int((labels > 0).sum()))


def plain_name(raw: str, spec: Volume) -> str:
    """A raw label name in plain words: side first, then the region; what has no words is only spaced out."""
    for mark, side in spec.sides.items():
        if raw.startswith(mark) or raw.endswith(mark):
            rest = raw.removeprefix(mark) if raw.startswith(mark) else raw.removesuffix(mark)
            return f"{side} {_in_words(rest, spec)}".strip()
    return _in_words(raw, spec)


def _in_words(name: str, spec: Volume) -> str:
    return spec.words.get(name, name.replace("-", " ").replace("_", " ").lower())


def _spec(entry: Entry) -> Volume:
    if entry.volume is None:
        raise SourceError(f"source {entry.id!r}: its entry has no [volume] table")
    return entry.volume


def _read_names(path: Path) -> dict[str, int]:
    """Raw name -> label, from a table with the columns `index` and `name`; SourceError if it is another."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not {"index", "name"} <= set(reader.fieldnames or ()):
            raise SourceError(f"{path.name}: columns {reader.fieldnames}; 'index' and 'name' are expected")
        return {row["name"]: int(row["index"]) for row in reader}


def _counts(voxels: Any) -> dict[int, int]:
    import numpy as np

    values, counts = np.unique(voxels, return_counts=True)
    return dict(zip((int(value) for value in values), (int(count) for count in counts), strict=True))


def _wanted(atlas: Atlas, spec: Volume, view: View) -> list[int]:
    """Labels of the view's regions: a region names a raw label, or one without the mark of its side."""
    wanted: list[int] = []
    for region in view.regions:
        marked = [name for mark in spec.sides for name in (mark + region, region + mark)]
        found = [atlas.raw[name] for name in (region, *marked) if name in atlas.raw]
        if not found:
            raise Refusal("unknown-region", f"{region!r} is not in the table of label names")
        wanted.extend(found)
    return wanted


def _render(entry: Entry, atlas: Atlas, spec: Volume, view: View) -> tuple[Media, list[int]]:
    """The view's slices, and which of its labels are visible on at least one of them."""
    import numpy as np

    from sources.render import encode
    from sources.render import volume as volumes
    from sources.render.windows import PERCENTILE

    wanted = _wanted(atlas, spec, view)
    regions = np.isin(atlas.labels, wanted)
    indices = volumes.key_slices(regions, view.plane, view.num_slices)
    shown = _shown(atlas, spec, view, regions)
    x, y, z = atlas.volume.spacing
    pixel = {"axial": (y, x), "coronal": (z, x), "sagittal": (z, y)}[view.plane]
    cuts = (volumes.slice_of(shown, view.plane, index) for index in indices)
    frames = tuple(
        encode.encode(volumes.to_pixels(cut, atlas.bounds, pixel), entry.max_side, "image/png") for cut in cuts
    )
    visible = set(np.unique(np.take(atlas.labels, indices, axis=volumes.AXIS[view.plane])).tolist())
    media = Media(
        "volume",
        frames,
        atlas.sha256,
        origin(entry, spec.file),
        positions=tuple(volumes.position(atlas.volume, view.plane, index) for index in indices),
        window=PERCENTILE,
        spacing=(x, y, z),
    )
    return media, [label for label in wanted if label in visible]


def _shown(atlas: Atlas, spec: Volume, view: View, regions: Any) -> Any:
    """The volume cut to the box that the view shows; along the plane's normal all of it, so that indices hold."""
    from sources.render import volume as volumes

    mask = regions if view.close_up else atlas.labels > 0
    box = volumes.box(mask, atlas.volume.spacing, spec.margin_mm)
    box[volumes.AXIS[view.plane]] = slice(None)
    return atlas.volume.voxels[tuple(box)]
