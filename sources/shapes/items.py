"""What the file-by-file shapes share: reading items one by one, hints and facts from headers."""

from typing import Any

from schemas.record import Hints
from sources.entry import Entry, Item

Dataset = Any


def hints_of(ds: Dataset, entry: Entry, item: Item, metadata: dict[str, str]) -> Hints:
    """What the tag cascade may read of a header and of the entry's own statements."""
    texts = (item.caption, *item.labels, metadata.get("study description", ""), metadata.get("protocol", ""))
    return Hints(
        dicom_modality=str(ds.get("Modality") or ""),
        dicom_sop_class=str(ds.get("SOPClassUID") or ""),
        dicom_body_part=body_part(ds),
        modality=item.tags.modality or entry.tags.modality,
        organ_system=item.tags.organ_system or entry.tags.organ_system,
        scope=item.tags.scope or entry.tags.scope,
        text=". ".join(text for text in texts if text),
        series_description=metadata.get("series description", ""),
    )


def body_part(ds: Dataset) -> str:
    """BodyPartExamined, else the anatomic region's code, else an ultrasound's exam type (ImageType value 3)."""
    named = str(ds.get("BodyPartExamined") or "").strip()
    if named:
        return named
    if ds.get("AnatomicRegionSequence"):
        return str(ds.AnatomicRegionSequence[0].get("CodeValue") or "")
    kinds = list(ds.get("ImageType") or ())
    return str(kinds[2]) if ds.get("Modality") == "US" and len(kinds) > 2 else ""


def facts_metadata(header: dict[str, str], item: Item) -> dict[str, str]:
    """The header's allowed values, then what the entry states; the entry never overwrites the header."""
    stated = {name: value for name, value in item.metadata.items() if name not in header}
    return {**header, **stated}
