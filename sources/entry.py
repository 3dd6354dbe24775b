"""The typed view of a catalogue entry: everything that makes a dataset readable without code of its own."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.license import License
from schemas.pipeline import Table
from schemas.record import Access, Egress, SourceTerms
from schemas.taxonomy import Modality, OrganSystem, Scope

Shape = Literal[
    "dicom-files", "dicom-cine", "dicom-sr", "nifti-labels", "image-files", "icd10cm", "jsonl", "table-files"
]  # fmt: skip
Split = Literal["train", "validation", "test"]
Box = tuple[int, int, int, int]
WindowName = Literal["lung", "soft tissue", "abdomen", "liver", "bone", "brain", "spine", "angiography"]
"""CT presets: the keys of `sources.render.windows.PRESETS`."""


SHAPE_KEYS: Final[Mapping[str, str]] = {
    "dicom-files": "items",
    "dicom-cine": "items",
    "dicom-sr": "items",
    "image-files": "items",
    "nifti-labels": "volume",
    "icd10cm": "questions",
    "jsonl": "columns",
    "table-files": "columns",
}
"""The key that each shape cannot do without."""

NOT_IDENTITY: Final = {"path", "folder", "title", "flows", "citation", "upstream"}
"""Fields that change no record, so they stay out of the revision."""


class Package(Table):
    """A Python package that ships the data: distribution name, import name, pinned version."""

    name: str
    module: str
    version: str


class Terms(Table):
    """Licence terms as the owner states them; what is not said counts as not allowed."""

    name: str = Field(min_length=1)
    commercial: bool = False
    share_alike: bool = False
    derivatives: bool = False
    redistribute_media: bool = False
    attribution: bool = True


class TagDefaults(Table):
    """Tags that the publisher documents for the whole dataset or for one item."""

    modality: Modality | None = None
    organ_system: OrganSystem | None = None
    scope: Scope | None = None


class Item(Table):
    """One file of a dataset, with what its publisher says about it.

    `file` is `module:path` for packaged data and a path below the entry's folder otherwise. `documented`
    says where facts that the header does not hold are stated. `reviewed` is the note of a person who
    looked for burned-in text; without it, files of risky modalities are rejected. `mask` lists boxes
    (left, top, right, bottom, in pixels of the original) that are blanked. `frame` picks one of many.
    """

    id: str = Field(min_length=1)
    file: str = Field(min_length=1)
    group: str | None = None
    caption: str = ""
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    tags: TagDefaults = TagDefaults()
    documented: str = ""
    reviewed: str = ""
    mask: tuple[Box, ...] = ()
    frame: int | None = None
    window: WindowName | None = None


class View(Table):
    """One record cut from a volume: slices along `plane` through the regions that it names.

    `close_up` cuts them to the box of those regions; otherwise the box of all labels counts.
    """

    id: str = Field(min_length=1)
    title: str
    plane: Literal["axial", "coronal", "sagittal"] = "axial"
    num_slices: Annotated[int, Field(ge=1)] = 4
    close_up: bool = False
    regions: tuple[str, ...] = Field(min_length=1)


class Volume(Table):
    """A volume, its label map and the table of label names; grids may differ, affines relate them.

    `sides` maps a prefix or suffix of a raw label name to the word for its side, `words` the rest to plain words.
    `min_agreement` is the least share of the label map that must fall into `tissue` (probability maps
    on the volume's grid, 0-255) for the two to count as aligned. Slices show the labels' box and
    `margin_mm` around it: a face is no part of a record about the brain behind it.
    """

    file: str
    labels: str
    names: str
    tissue: tuple[str, ...] = ()
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.8
    margin_mm: Annotated[float, Field(ge=0)] = 10.0
    sides: Mapping[str, str] = {}
    words: Mapping[str, str] = {}
    metadata: Mapping[str, str] = {}
    views: tuple[View, ...] = Field(min_length=1)


class Range(Table):
    """Categories `first` to `last`, inclusive, and the organ system that their chapter is about."""

    first: str
    last: str
    organ_system: OrganSystem


class Questions(Table):
    """How questions are built from a terminology: which ranges, how many options."""

    ranges: tuple[Range, ...] = Field(min_length=1)
    num_options: Annotated[int, Field(ge=2, le=8)] = 4


class Columns(Table):
    """Which column of a row holds which field of a record; a field that is not named stays empty.

    A name with dots is a key inside a key (`"data.Question"`). `file` is a file below the entry's folder, or
    for table-files several (`*` matches any name), or one for each split of the publisher. `id` may be left
    out of the data: then the row's position is the id. `group_match` is a pattern whose first group is
    taken from the group column; a row of no group is in that of its first picture, else alone. `images`
    holds a path or a list of paths below `image_folder`, or pictures themselves (a struct with bytes,
    or base64), in one column or in several; `video` a path. `options` is one column (a list, a mapping
    of letters, a list of {key, value}) or one column per option, and `answer_is` says whether the
    answer is a letter or a text of theirs, an index from 0, or a number from 1. `modalities` and
    `organ_systems` map the publisher's own strings to ours; a string that neither is ours nor is mapped
    rejects its row.
    """

    file: str | tuple[str, ...] | Mapping[Split, str]
    id: str | None = None
    group: str | None = None
    group_match: str = ""
    split: str | None = None
    language: str | None = None
    images: str | tuple[str, ...] | None = None
    image_folder: str = ""
    image_encoding: Literal["file", "base64"] = "file"
    video: str | None = None
    caption: str | None = None
    report: str | None = None
    labels: str | None = None
    question: str | None = None
    answer: str | None = None
    answer_is: Literal["text", "index", "number"] = "text"
    options: str | tuple[str, ...] | None = None
    explanation: str | None = None
    conversation: str | None = None
    modality: str | None = None
    organ_system: str | None = None
    metadata: Mapping[str, str] = {}
    placeholders: tuple[str, ...] = ()
    modalities: Mapping[str, Modality] = {}
    organ_systems: Mapping[str, OrganSystem] = {}


class Entry(Table):
    """One dataset of the catalogue: where it is, how it reads, what its owner allows.

    `never_train` marks a benchmark: no flow may list it, and rows that repeat it are contaminated.
    `groups` names what its group ids are of ("pmc", "mimic-subject", "youtube"): sources of one name share
    patients, articles or videos, which then share a split. Without it they are the source's own.
    `splits` says whose split counts where the publisher made one; "hash" is for sources that share
    originals under splits that disagree.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(min_length=1)
    shape: Shape
    records: Annotated[int, Field(ge=1)]
    license: Terms
    access: Access
    egress: Egress
    citation: str = Field(min_length=1)
    packages: tuple[Package, ...] = ()
    path: str | None = None
    pinned: str | None = None
    """For data in a folder: what pins it (a commit, a release, a date)."""
    upstream: str = ""
    """What to get and put into the folder, in the publisher's own words, such as a repository's name."""
    never_train: bool = False
    groups: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]*)?$")
    splits: Literal["publisher", "hash"] = "publisher"
    domain: Literal["medical", "general"] = "medical"
    language: str = Field(default="en", pattern=r"^[a-z]{2}$")
    flows: tuple[str, ...] = ()
    tags: TagDefaults = TagDefaults()
    max_frames: Annotated[int, Field(ge=1)] = 8
    max_side: Annotated[int, Field(ge=16)] = 1024
    items: tuple[Item, ...] = ()
    volume: Volume | None = None
    questions: Questions | None = None
    columns: Columns | None = None
    folder: Path | None = None
    """The folder of the entry's own file, set by the catalogue: `path` counts from there."""

    @property
    def revision(self) -> str:
        """Pinned data and a hash of the entry's own statements: editing either is a new revision."""
        pins = [f"{package.name}=={package.version}" for package in self.packages]
        text = self.model_dump_json(exclude=NOT_IDENTITY)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{','.join(pins) or self.pinned}+{digest}"

    @property
    def terms(self) -> SourceTerms:
        """What policy and provenance need of the owner's terms."""
        return SourceTerms(
            license=License(**self.license.model_dump()),
            access=self.access,
            egress=self.egress,
            citation=self.citation,
        )
