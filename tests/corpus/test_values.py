"""Rows read from buffers are the rows that Arrow itself gives."""

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot
from corpus.reader.values import Decoder, OpenBatches
from schemas.arrow import SAMPLE_SCHEMA
from schemas.errors import ConfigError, CorpusError
from tests.support.corpora import make_corpus
from tests.support.samples import make_sample

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(pa.struct([("type", pa.string())])))])
SIMPLE = {
    pa.string(): st.text(max_size=6),
    pa.binary(): st.binary(max_size=6),
    pa.bool_(): st.booleans(),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
}


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, null at every level."""
    if pa.types.is_list(kind):
        found = st.lists(values_of(kind.value_type), max_size=3)
    elif pa.types.is_struct(kind):
        found = st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    else:
        found = SIMPLE[kind]
    return st.none() | found


def struct(kinds: list[pa.DataType]) -> pa.DataType:
    return pa.struct([(f"f{k}", kind) for k, kind in enumerate(kinds)])


kinds = st.recursive(
    st.sampled_from([*SIMPLE, IMAGE, MESSAGE]),
    lambda inner: inner.map(pa.list_) | st.lists(inner, min_size=1, max_size=3).map(struct),
    max_leaves=4,
)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """A batch of any columns, perhaps through a stream, perhaps a slice of it, perhaps of slices."""
    columns, num_rows = draw(st.lists(kinds, min_size=1, max_size=3)), draw(st.integers(0, 12))
    arrays: list[pa.Array] = []
    for kind in columns:
        extra = draw(st.integers(0, 2))
        size = num_rows + extra
        values = draw(st.lists(values_of(kind), min_size=size, max_size=size))
        arrays.append(pa.array(values, kind).slice(extra))
    batch = pa.record_batch(arrays, names=[f"c{k}" for k in range(len(columns))])
    if draw(st.booleans()):
        batch = pa.ipc.read_record_batch(batch.serialize(), batch.schema)
    start = draw(st.integers(0, num_rows))
    return batch.slice(start, draw(st.integers(0, num_rows - start)))


@settings(max_examples=80, deadline=None)
@given(batches(), st.sampled_from(["view", "bytes"]))
def test_every_row_is_what_arrow_says(batch: pa.RecordBatch, blobs: Any) -> None:
    decoder = Decoder(batch, blobs=blobs)
    expected = batch.to_pylist()
    assert [decoder.row(i) for i in range(batch.num_rows)] == expected
    assert list(decoder.rows()) == expected
    assert list(decoder.rows(1, 3)) == expected[1:3]


def test_a_list_of_values_that_begin_in_the_middle_is_read_from_there() -> None:
    inner = pa.array([{"a": str(k), "b": k} for k in range(10)]).slice(4)
    batch = pa.record_batch([pa.ListArray.from_arrays([0, 2, 2, 5], inner)], names=["c"]).slice(1)
    assert [Decoder(batch).row(i) for i in range(2)] == batch.to_pylist() == list(Decoder(batch).rows())


def test_a_type_that_no_column_has_is_left_to_arrow() -> None:
    kind = pa.struct([("when", pa.date32()), ("text", pa.large_string())])
    batch = pa.record_batch([pa.array([[{"when": 1, "text": "é"}], None, []], pa.list_(kind))], names=["c"]).slice(1)
    assert list(Decoder(batch).rows()) == batch.to_pylist() == [Decoder(batch).row(0), Decoder(batch).row(1)]


def sample_batch(num_rows: int = 5) -> pa.RecordBatch:
    rows = [make_sample(i, num_images=i % 3, text=f"Nº {i}: ½" if i % 2 else None).row() for i in range(num_rows)]
    return pa.RecordBatch.from_pylist(rows, schema=SAMPLE_SCHEMA)


def test_rows_of_our_own_schema_come_back_whole_and_projected() -> None:
    batch = sample_batch()
    decoder = Decoder(batch, ("images", "id"))
    for i, expected in enumerate(batch.to_pylist()):
        assert Decoder(batch).row(i) == expected
        assert list(decoder.row(i).items()) == [("images", expected["images"]), ("id", expected["id"])]
        assert decoder.column("messages")[0](i) == expected["messages"]


def test_an_image_is_a_view_of_the_batch_or_a_copy_as_asked() -> None:
    batch = sample_batch()
    view = Decoder(batch).row(1)["images"][0]["bytes"]
    expected = batch.column("images")[1][0]["bytes"].as_py()
    whole = memoryview(batch.column("images").values.field("bytes").buffers()[2])
    del batch
    assert isinstance(view, memoryview) and view.format == "B"
    assert bytes(view) == expected and view.obj.address == whole.obj.address
    assert Decoder(sample_batch(), blobs="bytes").row(1)["images"][0]["bytes"] == expected
    assert isinstance(Decoder(sample_batch(), blobs="bytes").row(1)["images"][0]["bytes"], bytes)


def test_a_row_or_a_column_that_is_not_there_is_an_error() -> None:
    for row in (-1, 5):
        with pytest.raises(IndexError):
            Decoder(sample_batch()).row(row)
    with pytest.raises(ConfigError, match="no column 'image'; there is: id, split"):
        Decoder(sample_batch(), ("id", "image")).row(0)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def test_open_batches_give_any_row_and_keep_only_some_open(snapshot: Snapshot) -> None:
    places = Places(snapshot)
    expected = [row for batch in range(len(places)) for row in places.open(batch).to_pylist()]
    opened = OpenBatches(places, blobs="bytes", num_open=2)
    numbers = [*range(0, 60, 7), *range(59, 0, -5)]
    assert [opened.row(*places.batch_of(row)) for row in numbers] == [expected[row] for row in numbers]
    assert opened.decoder(3) is opened.decoder(3)
    first = opened.decoder(3)
    opened.decoder(4), opened.decoder(5)
    assert opened.decoder(3) is not first
    again = pickle.loads(pickle.dumps(opened))
    assert again.row(0, 0) == expected[0]


def test_open_batches_name_a_shard_that_is_not_there(snapshot: Snapshot) -> None:
    places = Places(snapshot)
    shard = Path(snapshot.url) / places.paths[0]
    away = shard.with_suffix(".away")
    shard.rename(away)
    try:
        fresh = pickle.loads(pickle.dumps(OpenBatches(places)))
        with pytest.raises(CorpusError, match=f"{shard.name} is missing; restore it"):
            fresh.row(0, 0)
    finally:
        away.rename(shard)
