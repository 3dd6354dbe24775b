"""Hugging Face features of Arrow columns that the schema does not know: those that were derived later."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import json
from typing import Final

import pyarrow as pa

from schemas.arrow import FEATURES, Feature

NAMES: Final = {"double": "float64", "float": "float32", "halffloat": "float16"}
"""Arrow's names of types that `datasets` spells otherwise (`datasets.features._arrow_to_datasets_dtype`)."""


def feature_of(kind: pa.DataType) -> Feature:
    """The feature that `datasets` gives an Arrow type; importing `datasets` to ask it takes a second."""
    if pa.types.is_list(kind):
        return {"feature": feature_of(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: feature_of(field.type) for field in kind}
    return {"dtype": NAMES.get(str(kind), str(kind)), "_type": "Value"}


def with_features(schema: pa.Schema) -> pa.Schema:
    """A schema whose metadata tells `datasets` its features; the sample's own columns keep theirs."""
    features = {field.name: FEATURES.get(field.name) or feature_of(field.type) for field in schema}
    metadata = {"huggingface": json.dumps({"info": {"features": features}}, default=dict)}
    return schema.with_metadata({**(schema.metadata or {}), **metadata})  # pyright: ignore[reportArgumentType]
