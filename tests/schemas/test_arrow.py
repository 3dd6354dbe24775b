"""The Arrow schema, the sample and the Hugging Face features agree."""

import pyarrow as pa
from datasets import Features, Image

from schemas.arrow import FEATURES, SAMPLE_SCHEMA
from schemas.sample import COLUMNS


def test_the_arrow_schema_has_the_columns_of_sample() -> None:
    assert tuple(SAMPLE_SCHEMA.names) == COLUMNS


def test_datasets_reads_the_features_out_of_the_schema() -> None:
    features = Features.from_arrow_schema(SAMPLE_SCHEMA)
    assert list(features) == list(FEATURES)
    assert features.arrow_schema.equals(SAMPLE_SCHEMA)
    assert isinstance(features["images"].feature, Image)


def test_blobs_have_32_bit_offsets() -> None:
    # with large_binary the Image feature silently becomes a plain struct
    assert SAMPLE_SCHEMA.field("images").type.value_type.field("bytes").type == pa.binary()
