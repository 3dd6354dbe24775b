"""The Arrow schemas of samples and rejects, with the Hugging Face features in their metadata."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1
"""Raised when a column is added, removed or changes meaning; `corpus/README.md` has the migration rule."""

ADDED_IN: Final[Mapping[int, Mapping[str, tuple[str, ...]]]] = {}
"""The columns that each schema version after the first added, by kind of file ("sample", "reject").

A version may only add columns that can be null: it moves none, and changes no type. A shard of an older
version is read without what later ones added, as null.
"""

Feature = Mapping[str, Any]


def _value(dtype: str) -> Feature:
    return {"dtype": dtype, "_type": "Value"}


def _list(feature: Feature) -> Feature:
    return {"feature": feature, "_type": "List"}


STRING, BOOL, INT32, INT64, FLOAT64 = map(_value, ("string", "bool", "int32", "int64", "float64"))
IMAGE: Final[Feature] = {"_type": "Image"}

FEATURES: Final[Mapping[str, Feature]] = {
    "id": STRING,
    "split": STRING,
    "grade": STRING,
    "flow": STRING,
    "task": STRING,
    "domain": STRING,
    "language": STRING,
    "messages": _list({"role": STRING, "content": _list({"type": STRING, "text": STRING})}),
    "images": _list(IMAGE),
    "media": _list(
        {
            "kind": STRING,
            "first": INT32,
            "count": INT32,
            "times": _list(FLOAT64),
            "positions": _list(FLOAT64),
            "window": STRING,
            "spacing": _list(FLOAT64),
            "sha256": STRING,
            "origin": STRING,
        }
    ),
    "modality": STRING,
    "organ_system": STRING,
    "organ_systems_also": _list(STRING),
    "scope": STRING,
    "tag_evidence": _list({"tag": STRING, "value": STRING, "step": STRING, "seen": STRING, "confidence": FLOAT64}),
    "gold": STRING,
    "answer_type": STRING,
    "pass_rate": FLOAT64,
    "judge_score": FLOAT64,
    "source": STRING,
    "source_revision": STRING,
    "record_id": STRING,
    "group_id": STRING,
    "license": STRING,
    "license_class": STRING,
    "generator": STRING,
    "asks": _list(
        {
            "role": STRING,
            "prompt_sha256": STRING,
            "teacher": STRING,
            "model": STRING,
            "revision": STRING,
            "seed": INT64,
            "attempt": INT32,
            "reply_key": STRING,
        }
    ),
    "teacher_license": STRING,
    "verdicts": _list({"gate": STRING, "passed": BOOL, "detail": STRING, "score": FLOAT64}),
    "content_sha256": STRING,
    "num_text_chars": INT32,
    "num_frames": INT32,
    "num_pixels": INT64,
}
"""Every column as a Hugging Face feature; the Arrow types follow from it. `images` are PNG or JPEG bytes."""

REJECT_FEATURES: Final[Mapping[str, Feature]] = {
    "record_id": STRING,
    "source": STRING,
    "flow": STRING,
    "task": STRING,
    "stage": STRING,
    "reason": STRING,
    "detail": STRING,
    "text": STRING,
    "reply_keys": _list(STRING),
}

_ARROW: Final = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
}


def _arrow(feature: Feature) -> pa.DataType:
    """The Arrow type that `datasets` gives a feature."""
    kind = feature.get("_type")
    if kind == "Value":
        return _ARROW[feature["dtype"]]
    if kind == "List":
        return pa.list_(_arrow(feature["feature"]))
    if kind == "Image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.struct([(name, _arrow(inner)) for name, inner in feature.items()])


def _schema(features: Mapping[str, Feature], kind: str) -> pa.Schema:
    metadata: dict[bytes | str, bytes | str] = {
        "huggingface": json.dumps({"info": {"features": dict(features)}}),
        "calabash": json.dumps({"kind": kind, "schema_version": SCHEMA_VERSION}),
    }
    return pa.schema([(name, _arrow(feature)) for name, feature in features.items()], metadata=metadata)


SAMPLE_SCHEMA: Final = _schema(FEATURES, "sample")
"""One row per sample; field order is `schemas.sample.COLUMNS`."""

REJECT_SCHEMA: Final = _schema(REJECT_FEATURES, "reject")
"""One row per reject."""
