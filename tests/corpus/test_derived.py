"""What is learnt about rows later: columns that join, rows that drop, and no shard rewritten."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpus
from corpus.changing.deriving import derive, place_rows
from corpus.changing.taking import add_derived, take_snapshot
from corpus.manifest.joining import is_dropped, joined
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot, read_snapshot
from corpus.store.files import TOUCHED
from corpus.store.local import LocalStore
from schemas.errors import CorpusError
from tests.support.corpora import commit, make_corpus, tree
from tests.support.samples import make_samples, make_task


def add(root: Path, name: str, values: dict[int, int], kind: str = "column", by: str = "test@1") -> Snapshot:
    """Say a number about some of the snapshot's rows."""
    snapshot = read_snapshot(root)
    rows = sorted(values)
    column = pa.array([values[row] for row in rows], pa.int64())
    table = pa.table({**place_rows(Places(snapshot), rows), name: column})
    return derive(LocalStore(root), snapshot, name, kind, {"by": by}, table)  # type: ignore[arg-type]


def test_a_derived_column_joins_and_rewrites_no_shard(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    before = tree(tmp_path / "data")
    add(tmp_path, "num_tokens", {row: row * row for row in range(20)})
    assert tree(tmp_path / "data") == before
    opened = corpus.open(tmp_path)
    assert opened.samples().column("num_tokens").to_pylist() == [row * row for row in range(20)]
    assert opened.to_arrow().column("num_tokens").to_pylist() == [row * row for row in range(20)]
    assert opened.to_hf()[3]["num_tokens"] == 9
    picked = opened.filter(modality="CT")
    by_id = dict(zip(opened.samples().column("id").to_pylist(), range(20), strict=True))
    assert [by_id[i] ** 2 for i in picked.samples().column("id").to_pylist()] == picked.to_pandas().num_tokens.tolist()
    assert opened.row(opened.samples().column("id")[7].as_py())["num_tokens"] == 49


def test_a_sparse_column_is_null_where_nothing_was_learnt(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    add(tmp_path, "score", {3: 5, 11: 7})
    values = corpus.open(tmp_path).samples().column("score").to_pylist()
    assert [(row, value) for row, value in enumerate(values) if value is not None] == [(3, 5), (11, 7)]


def test_dropped_rows_are_in_no_reading_and_stay_in_older_snapshots(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    ids = corpus.open(tmp_path).samples().column("id").to_pylist()
    add(tmp_path, "duplicates", {2: 0, 5: 0}, kind="drop")
    add(tmp_path, "contamination", {5: 0, 6: 0}, kind="drop")
    left = [id_ for row, id_ in enumerate(ids) if row not in (2, 5, 6)]
    opened = corpus.open(tmp_path)
    assert len(opened) == 17
    assert opened.samples().column("id").to_pylist() == opened.to_arrow().column("id").to_pylist() == left
    with pytest.raises(CorpusError, match="no row"):
        opened.row(ids[5])
    assert len(corpus.open(tmp_path, snapshot="v000001")) == 20


def test_the_same_column_again_is_no_new_snapshot_and_another_replaces_it(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    first = add(tmp_path, "score", {1: 1})
    assert add(tmp_path, "score", {1: 1}).name == first.name
    second = add(tmp_path, "score", {1: 2})
    assert (second.number, len(second.derived)) == (first.number + 1, 1)
    assert second.sha256 != first.sha256
    assert add_derived(LocalStore(tmp_path), second.derived[0]).name == second.name


def test_columns_follow_their_rows_into_the_next_snapshot(tmp_path: Path) -> None:
    tasks = [make_task(start, start + 5) for start in (0, 5, 10)]
    for task in (tasks[0], tasks[2]):
        commit(tmp_path, task, make_samples(task.start, task.stop))
    take_snapshot(tmp_path, tasks)
    ids = corpus.open(tmp_path).samples().column("id").to_pylist()
    add(tmp_path, "score", {row: row for row in range(10)})
    commit(tmp_path, tasks[1], make_samples(5, 10))
    take_snapshot(tmp_path, tasks)
    found = corpus.open(tmp_path).samples().select(["id", "score"]).to_pylist()
    scores = {row["id"]: row["score"] for row in found}
    assert len(scores) == 15
    assert {id_: scores[id_] for id_ in ids} == dict(zip(ids, range(10), strict=True))
    assert [scores[id_] for id_ in scores if id_ not in ids] == [None] * 5


def test_a_changed_byte_of_a_derived_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    path = tmp_path / add(tmp_path, "score", {1: 1}).derived[0].parts[0].table.path
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    TOUCHED.clear()  # as in a process that reads it for the first time
    with pytest.raises(CorpusError, match=path.name):
        corpus.open(tmp_path).samples()


@settings(max_examples=25, deadline=None)
@given(rows=st.sets(st.integers(0, 59)), data=st.data())
def test_any_rows_are_found_again_by_their_places(rows: set[int], data: st.DataObject, tmp_path_factory) -> None:
    root = tmp_path_factory.getbasetemp() / "places"
    snapshot = read_snapshot(root) if root.exists() else make_corpus(root, 60)
    places = Places(snapshot)
    order = data.draw(st.permutations(sorted(rows)))
    table = pa.table({**place_rows(places, order), "value": pa.array(order, pa.int64())})
    derived = derive(LocalStore(root), read_snapshot(root, "v000001"), "value", "column", {}, table).derived[0]
    values = joined(places, derived).column("value").to_pylist()
    assert values == [row if row in rows else None for row in range(60)]
    assert is_dropped(places) is None


@pytest.mark.parametrize(("batch", "row"), [(0, 99), (99, 0), (0, -1), (-1, 0)])
@pytest.mark.parametrize("kind", ["column", "drop"])
def test_a_place_that_is_not_there_is_an_error_not_another_row(tmp_path: Path, kind: str, batch: int, row: int) -> None:
    snapshot = make_corpus(tmp_path, 20)
    place = {"file": pa.array([Places(snapshot).paths[0]]), "batch": pa.array([batch], pa.int32())}
    table = pa.table({**place, "row": pa.array([row], pa.int32()), "score": pa.array([1], pa.int64())})
    with pytest.raises(CorpusError, match="that is not there"):
        derive(LocalStore(tmp_path), snapshot, "score", kind, {}, table)  # type: ignore[arg-type]
        corpus.open(tmp_path).samples()
