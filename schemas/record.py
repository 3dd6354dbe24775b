"""One upstream item, normalized: media, facts, tags known upstream, licence, keys."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from schemas.license import License
from schemas.taxonomy import Modality, OrganSystem, Scope


class Access(StrEnum):
    """What it takes to get a source."""

    OPEN = "open"
    GATED = "gated"
    REGISTRATION = "registration"
    CREDENTIALED = "credentialed"


class Egress(StrEnum):
    """Where a source's records may be sent: to any teacher, to attested ones, or nowhere off this network."""

    ANY = "any"
    ATTESTED = "attested"
    LOCAL_ONLY = "local_only"


@dataclass(frozen=True, slots=True)
class SourceTerms:
    """What a source's owner asks, as far as policy and provenance need it."""

    license: License
    access: Access = Access.OPEN
    egress: Egress = Egress.ANY
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One rendered picture: encoded bytes (PNG or JPEG), 8-bit, as it goes to teachers and shards."""

    data: bytes = field(repr=False)
    mime: Literal["image/png", "image/jpeg"]
    width: int
    height: int
    _sha256: str = field(default="", init=False, repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of `data` in hex, computed once: keys, logs and rows all name a frame by it."""
        if not self._sha256:
            object.__setattr__(self, "_sha256", hashlib.sha256(self.data).hexdigest())
        return self._sha256


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a volume or a video as rendered frames, in display order.

    `times` are seconds from the start (video); `positions` are millimetres along the slice normal
    (volume); each has one entry per frame or is empty. `spacing` is (x, y, z) in millimetres.
    `window` names what was applied to the raw values, e.g. `"lung 1500/-600"` or `"percentile 0.5-99.5"`.
    `sha256` is of the original's bytes and `origin` says where the original lives.
    """

    kind: Literal["image", "volume", "video"]
    frames: tuple[Frame, ...]
    sha256: str
    origin: str
    times: tuple[float, ...] = ()
    positions: tuple[float, ...] = ()
    window: str | None = None
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold answer; `options` empty means open. `gold` is the text of the answer."""

    stem: str
    gold: str
    options: tuple[str, ...] = ()
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video, in seconds, with the publisher's label or transcript for it."""

    start: float
    end: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the publisher says about a record: all that may ground a teacher.

    `metadata` holds technical values that passed the allow-list (keys are plain words: "body part").
    Nothing here may identify a patient.
    """

    caption: str = ""
    report: str = ""
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    question: Question | None = None
    segments: tuple[Segment, ...] = ()
    conversation: tuple[tuple[str, str], ...] = ()
    """(role, text) turns of the publisher's own conversation, for `verbatim`."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Raw values that the tag cascade may read: DICOM codes, then the dataset's own tags.

    `text` is what the lexicon reads (title, caption, labels, report). Empty strings mean unknown.
    """

    dicom_modality: str = ""
    dicom_sop_class: str = ""
    dicom_body_part: str = ""
    modality: Modality | None = None
    organ_system: OrganSystem | None = None
    scope: Scope | None = None
    text: str = ""
    series_description: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One upstream item, as its publisher meant it.

    `id` is unique and stable within its source. `group_id` is the patient, article, study, video or
    slide that must not cross splits; `groups` is whose ids those are (empty: the source's own), so that
    sources which share an original can say so. `split` is the publisher's own, if it has one. `language`
    is ISO 639-1.
    """

    id: str
    source: str
    source_revision: str
    group_id: str
    terms: SourceTerms
    media: tuple[Media, ...] = ()
    facts: Facts = field(default_factory=Facts)
    hints: Hints = field(default_factory=Hints)
    language: str = "en"
    domain: Literal["medical", "general"] = "medical"
    split: Literal["train", "validation", "test"] | None = None
    groups: str = ""

    @property
    def group(self) -> str:
        """The group as rows carry it, `namespace:group`: equal only for the same original."""
        return f"{self.groups or self.source}:{self.group_id}"

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Every frame of every medium, in order."""
        return tuple(frame for media in self.media for frame in media.frames)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a tag has its value: which step of the cascade filled it, from what, how sure (0-1)."""

    tag: Literal["modality", "organ_system"]
    value: str
    step: Literal["header", "dataset", "lexicon", "teacher", "unresolved"]
    seen: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Tags:
    """A record's place in the corpus. Text has `modality` None; only `Scope.ORGAN` has an organ system."""

    modality: Modality | None
    organ_system: OrganSystem | None
    scope: Scope
    organ_systems_also: tuple[OrganSystem, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """A counted, kept refusal. `reason` is a slug; `stage` is where it fell; `text` is what was refused."""

    record_id: str
    stage: Literal["source", "generate", "gate"]
    reason: str
    detail: str = ""
    text: str = ""
    reply_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceShard:
    """A fixed slice of a source: the unit that an adapter can open. `num_records` counts rejects too."""

    id: str
    num_records: int
