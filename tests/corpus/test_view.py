"""The views for `load_from_disk`: the shards themselves, and what was learnt of their rows later, side by side."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import concatenate_datasets, load_from_disk

import corpus
from corpus.changing.deriving import derive, place_rows
from corpus.changing.taking import take_snapshot
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot
from corpus.store.writing import store_of
from tests.support.corpora import commit, make_corpus
from tests.support.samples import make_samples, make_task


def learn(root: Path, snapshot: Snapshot, name: str, kind: str, rows: list[int], **columns: pa.Array) -> Snapshot:
    values = pa.table({**place_rows(Places(snapshot), rows), **columns})
    return derive(store_of(root), snapshot, name, kind, {"v": 1}, values)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    first = make_corpus(tmp_path)
    lengths = learn(tmp_path, first, "lengths", "column", list(range(60)), num_tokens=pa.array(range(60), pa.int32()))
    learn(tmp_path, lengths, "near-duplicates", "drop", [1, 5], reason=pa.array(["like row 0", None]))
    return tmp_path


def test_the_derived_view_stands_row_beside_row_of_the_shards(root: Path) -> None:
    rows = load_from_disk(str(root / ".views/all"))
    learnt = load_from_disk(str(root / ".views/derived"))
    assert len(rows) == len(learnt) == 60
    assert learnt["num_tokens"][:] == list(range(60))
    dropped = {number: why for number, why in enumerate(learnt["dropped"]) if why is not None}
    assert dropped == {1: "near-duplicates: like row 0", 5: "dropped"}


def test_joined_and_filtered_it_is_what_our_reader_gives_and_copies_no_shard(root: Path) -> None:
    before = pa.total_allocated_bytes()
    parts = [load_from_disk(str(root / ".views" / name)) for name in ("all", "derived")]
    rows = concatenate_datasets(parts, axis=1)
    assert pa.total_allocated_bytes() - before < rows.data.nbytes / 20
    kept = rows.filter(lambda why: why is None, input_columns=["dropped"], keep_in_memory=True)
    ours = corpus.open(root).to_arrow()
    assert kept["id"][:] == ours["id"].to_pylist()
    assert kept["num_tokens"][:] == ours["num_tokens"].to_pylist()
    assert next(row["images"][0].size for row in kept if row["images"]) == (8, 8)


def test_a_corpus_of_which_nothing_was_learnt_has_no_derived_view(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    assert (tmp_path / ".views/all/state.json").exists()
    assert not (tmp_path / ".views/derived").exists()


def test_rows_that_came_later_have_nulls_until_they_are_learnt_of(root: Path) -> None:
    task = make_task(500, 510, flow="captioning", source="zzz")
    commit(root, task, make_samples(500, 510, flow="captioning", source="zzz"))
    assert take_snapshot(root, [task]).num_rows == 70
    rows, learnt = (load_from_disk(str(root / ".views" / name)) for name in ("all", "derived"))
    late = [number for number, source in enumerate(rows["source"]) if source == "zzz"]
    assert len(rows) == len(learnt) == 70
    assert [learnt["num_tokens"][number] for number in late] == [None] * 10


def test_two_views_of_one_corpus_never_share_a_cache(root: Path) -> None:
    states = [json.loads((root / ".views" / name / "state.json").read_text()) for name in ("all", "derived")]
    assert len({state["_fingerprint"] for state in states}) == 2
