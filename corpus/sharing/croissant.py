"""Croissant 1.0 metadata with the RAI vocabulary: what a dataset holds, how it was made, how it may be used."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from corpus.sharing.facts import Facts, SourceNote
from schemas.arrow import Feature

CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the Croissant 1.0 specification, "Appendix 1: JSON-LD context"."""

TYPES: Final = {"string": "sc:Text", "bool": "sc:Boolean", "float64": "sc:Float", "float32": "sc:Float"}
"""Data types by dtype; whole numbers of any width are `sc:Integer`."""

LIMITS: Final = (
    "Text was written by language models from what publishers state, and checked by programs and models, not by "
    "physicians. It may be wrong, and it is no medical advice.",
    "Organ systems and modalities come from headers, dataset tags, a lexicon and models; `tag_evidence` says which.",
    "Public collections over-represent some countries, scanners, diseases and English; nothing here corrects that.",
    "Volumes and videos are a few rendered frames; window and spacing are in `media`, the originals are not here.",
)
"""Known limits, in the card and in the metadata."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the rows are: `patterns` of files relative to the metadata, their MIME type, and the columns.

    `files` are (path, SHA-256, bytes), where they are known and few.
    """

    encoding: str
    patterns: Sequence[str]
    features: Mapping[str, Feature]
    files: Sequence[tuple[str, str, int]] = ()


def croissant(name: str, version: str, facts: Facts, sources: Iterable[SourceNote], layout: Layout) -> dict[str, Any]:
    """The metadata as JSON-LD. No clock is in it: the snapshot is its version."""
    notes = sorted(sources, key=lambda note: note.id)
    fields = _fields(layout.features)
    if "messages" in layout.features:
        fields.append(_field("messages", "messages.text", "sc:Text", True, "content[*].text"))
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": name,
        "description": f"Medical conversations about images, volumes, videos and text: {facts.num_rows:,} rows, each "
        "traceable to a public record, its licence and what made it.",
        "version": version,
        **({"datePublished": published} if (published := facts.made.ended) else {}),
        "license": sorted(str(license) for license in facts.counts["license"]) or ["unknown"],
        "inLanguage": sorted(str(language) for language in facts.counts["language"]),
        "keywords": ["medical", "multimodal", *sorted(str(one) for one in facts.counts["modality"] if one)],
        "citeAs": "; ".join(note.citation for note in notes),
        "isLiveDataset": False,
        **_responsible(facts, notes),
        "distribution": _distribution(layout),
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}],
    }


def croissant_bytes(metadata: Mapping[str, Any]) -> bytes:
    """The metadata as a file."""
    return (json.dumps(metadata, indent=2, ensure_ascii=False, default=dict) + "\n").encode()


def _responsible(facts: Facts, notes: Sequence[SourceNote]) -> dict[str, Any]:
    """The RAI vocabulary: collection, annotation, limits, personal data."""
    made = facts.made
    tools = sorted({f"{model} ({revision})" for _, model, revision, _ in made.teachers})
    gates = sorted({gate for bounds in made.gates.values() for gate in bounds})
    return {
        "rai:dataCollection": "Records of public datasets at pinned revisions: " + "; ".join(n.title for n in notes),
        "rai:dataCollectionType": ["Secondary Data Analysis", "Software Collection"],
        "rai:dataPreprocessingProtocol": [
            "DICOM, NIfTI and video are rendered to frames; headers pass an allow-list; burned-in text is masked",
            "Rows that gates refuse are kept apart with their reasons; bounds: " + (", ".join(gates) or "none"),
        ],
        "rai:dataAnnotationProtocol": "Models write from images and publishers' facts; every row names prompt, model "
        "and seed, and holds the verdict of every gate.",
        "rai:machineAnnotationTools": tools or ["none: publishers' own conversations"],
        "rai:dataLimitations": list(LIMITS),
        "rai:dataBiases": ["Sources, languages and modalities are unevenly represented; the card has the tables."],
        "rai:dataUseCases": ["Training and study of medical vision-language models; not diagnosis or treatment"],
        "rai:personalSensitiveInformation": ["Health data of de-identified people, as published by the sources"],
        "rai:dataReleaseMaintenancePlan": "Snapshots are immutable and numbered; withdrawn rows leave the next one.",
    }


def _distribution(layout: Layout) -> list[dict[str, Any]]:
    """Each file with its hash, where they are listed, and the set that the rows are read from."""
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "contentSize": f"{num_bytes} B",
            "encodingFormat": layout.encoding,
            "sha256": sha256,
        }
        for path, sha256, num_bytes in layout.files
    ]
    files = {
        "@type": "cr:FileSet",
        "@id": "files",
        "name": "files",
        "encodingFormat": layout.encoding,
        "includes": list(layout.patterns),
    }
    return [*objects, files]


def _fields(features: Mapping[str, Feature]) -> list[dict[str, Any]]:
    """The columns that Croissant can name: values, lists of them, images, and members of lists of structures."""
    fields: list[dict[str, Any]] = []
    for column, feature in features.items():
        repeated = feature.get("_type") == "List"
        inner = feature["feature"] if repeated else feature
        if inner.get("_type") == "Image":
            fields.append(_field(column, column, "sc:ImageObject", repeated, "bytes"))
        elif "_type" in inner:
            fields.append(_field(column, column, _data_type(inner), repeated))
        else:
            members = {name: member for name, member in inner.items() if member.get("_type") == "Value"}
            fields += [
                _field(column, f"{column}.{name}", _data_type(member), True, name) for name, member in members.items()
            ]
    return fields


def _field(column: str, name: str, data_type: str, repeated: bool, member: str | None = None) -> dict[str, Any]:
    """A field of the record set; `member` is what is taken of each structure in the column."""
    transform = {"transform": {"jsonPath": member}} if member else {}
    return {
        "@type": "cr:Field",
        "@id": f"rows/{name}",
        "name": name,
        "dataType": data_type,
        **({"repeated": True} if repeated else {}),
        "source": {"fileSet": {"@id": "files"}, "extract": {"column": column}, **transform},
    }


def _data_type(feature: Feature) -> str:
    dtype = feature["dtype"]
    return TYPES.get(dtype, "sc:Integer" if "int" in dtype else "sc:Text")
