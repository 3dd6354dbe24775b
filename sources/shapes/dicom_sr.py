"""Shape `dicom-sr`: one DICOM structured report, one text record."""

from typing import Any, ClassVar, Final

from schemas.record import Facts, Hints, Record
from sources.base import Refusal
from sources.entry import Item, Shape
from sources.shapes.adapter import FileByFile, record_of
from sources.shapes.items import facts_metadata

Dataset = Any

SKIPPED: Final = ("PNAME", "DATE", "TIME", "DATETIME", "UIDREF", "IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "TCOORD")
"""Content items that hold identities, times or references, never report text."""

CONTEXT: Final = ("HAS OBS CONTEXT", "HAS ACQ CONTEXT")
"""Relationships that say who observed whom: all of it stays out."""

PLACEHOLDERS: Final = ("enter text",)
"""What templates write where a report would say something."""


class DicomSr(FileByFile):
    """Structured reports flattened to headed text (PS3.3 C.17.3), identities left out."""

    shape: ClassVar[Shape] = "dicom-sr"

    def read(self, item: Item, data: bytes) -> Record:
        """The record of one file."""
        from sources import privacy
        from sources.render import dicom

        ds = dicom.read(data)
        report = report_text(ds)
        if not report:
            raise Refusal("placeholder-text", "the report holds headings and placeholders only")
        privacy.check_text(report)
        header = privacy.metadata(ds)
        tags = self._entry.tags
        return record_of(
            self._entry,
            id=item.id,
            group_id=item.group or privacy.group_of(ds),
            media=(),
            facts=Facts(
                caption=item.caption,
                report=report,
                labels=item.labels,
                metadata=facts_metadata(header, item),
            ),
            hints=Hints(
                dicom_modality=str(ds.get("Modality") or ""),
                dicom_sop_class=str(ds.get("SOPClassUID") or ""),
                organ_system=item.tags.organ_system or tags.organ_system,
                scope=item.tags.scope or tags.scope,
                text=report,
            ),
        )


def report_text(ds: Dataset) -> str:
    """The content tree as lines `Heading: value`; empty where nothing but placeholders is in it."""
    lines = [line for child in ds.get("ContentSequence") or () for line in _lines(child)]
    said = any(not line.endswith(":") for line in lines)
    return "\n".join(lines) if said else ""


def _lines(node: Dataset) -> list[str]:
    """One content item and what it contains, depth first."""
    kind = str(node.get("ValueType") or "")
    if kind in SKIPPED or str(node.get("RelationshipType") or "") in CONTEXT:
        return []
    heading, value = _meaning(node, "ConceptNameCodeSequence"), _value(node, kind)
    own = [f"{heading}: {value}" if heading else value] if value else []
    inner = [line for child in node.get("ContentSequence") or () for line in _lines(child)]
    return [f"{heading}:", *inner] if kind == "CONTAINER" and heading and inner else [*own, *inner]


def _value(node: Dataset, kind: str) -> str:
    if kind == "TEXT":
        text = " ".join(str(node.get("TextValue") or "").split())
        return "" if text.casefold() in PLACEHOLDERS else text
    if kind == "CODE":
        return _meaning(node, "ConceptCodeSequence")
    if kind == "NUM" and node.get("MeasuredValueSequence"):
        measured = node.MeasuredValueSequence[0]
        units = measured.get("MeasurementUnitsCodeSequence")
        return f"{measured.NumericValue} {units[0].get('CodeValue') if units else ''}".strip()
    return ""


def _meaning(node: Dataset, sequence: str) -> str:
    """What a code means, in the words that the file itself gives."""
    items = node.get(sequence)
    return str(items[0].get("CodeMeaning") or "").strip() if items else ""
