"""Names, differences and garbage: what stays, what is between two snapshots, what may go."""

import multiprocessing
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import load_from_disk

import corpus
from corpus.audit.verify import verify
from corpus.changing.deriving import derive, place_rows
from corpus.changing.gc import collect
from corpus.changing.taking import name_snapshot, take_snapshot
from corpus.manifest.diff import diff
from corpus.manifest.pieces import MAX_PIECE_ENTRIES, cut
from corpus.manifest.places import Places
from corpus.manifest.snapshot import list_names, read_snapshot
from corpus.store.files import Found
from corpus.store.local import LocalStore
from schemas.errors import CorpusError
from tests.support.corpora import commit, make_corpus, tree
from tests.support.samples import make_reject, make_samples, make_task


def test_a_name_is_given_once_and_opens_its_snapshot_for_ever(tmp_path: Path) -> None:
    tasks = [make_task(0, 5), make_task(5, 10)]
    for task in tasks:
        commit(tmp_path, task, make_samples(task.start, task.stop))
        take_snapshot(tmp_path, [task])
        if task is tasks[0]:
            name_snapshot(tmp_path, "v1")
    assert len(corpus.open(tmp_path, snapshot="v1")) == 5
    assert name_snapshot(tmp_path, "v1", "v000001").name == "v000001"
    with pytest.raises(CorpusError, match="given to v000001 already"):
        name_snapshot(tmp_path, "v1", "latest")
    assert list_names(tmp_path) == {"v1": "v000001"}


@pytest.mark.parametrize("name", ["latest", "v000009", "", "a/b", "../x", ".hidden"])
def test_a_name_that_could_mean_something_else_is_refused(tmp_path: Path, name: str) -> None:
    make_corpus(tmp_path, 20)
    with pytest.raises(CorpusError, match="cannot be named"):
        name_snapshot(tmp_path, name)


def test_an_unknown_name_lists_numbers_and_names(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    name_snapshot(tmp_path, "v1")
    with pytest.raises(CorpusError, match="no snapshot 'v2'; there is: v000001, v1"):
        read_snapshot(tmp_path, "v2")


def test_a_diff_names_tasks_rows_and_tags(tmp_path: Path) -> None:
    first, second = make_task(0, 5), make_task(5, 15)
    commit(tmp_path, first, make_samples(0, 5))
    take_snapshot(tmp_path, [first])
    entry = commit(tmp_path, second, make_samples(5, 15))
    take_snapshot(tmp_path, [first, second])
    found = diff(tmp_path, "v000001")
    assert found.added.tasks == {("captioning", "demo-source", entry.task): 10}
    assert found.added.cells["Respiratory|CT"] == 2 and found.added.num_rows == 10
    assert found.removed.num_rows == 0 and found.derived == {}
    back = diff(tmp_path, "v000002", "v000001")
    assert (back.added, back.removed) == (found.removed, found.added)


def test_the_next_snapshot_writes_only_the_pieces_that_changed(tmp_path: Path) -> None:
    tasks = [make_task(start, start + 1, recipe="r") for start in range(80)]
    entries = [commit(tmp_path, task, make_samples(task.start, task.stop)) for task in tasks[:-1]]
    before = take_snapshot(tmp_path, tasks)
    commit(tmp_path, tasks[-1], make_samples(79, 80))
    after = take_snapshot(tmp_path, tasks)
    known = {piece.commits: piece for piece in before.pieces}
    again = [piece for piece in after.pieces if piece.commits in known]
    assert len(after.pieces) - len(again) <= 2
    assert all(piece == known[piece.commits] for piece in again)
    assert sum(piece.num_rows for piece in after.pieces) == 80
    assert all(len(run) <= MAX_PIECE_ENTRIES for run in cut(entries * 10))


def test_garbage_is_what_nothing_names_and_is_old(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    kept = tree(tmp_path)
    orphans = ["data/captioning/attribution/modality=ct/train-0-0.arrow", "rejects/captioning/0-0.arrow"]
    orphans += ["manifest/pieces/samples-0.parquet", "derived/x/part-0.parquet", "staging/dead/data-000-00000.arrow"]
    for path in orphans:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    assert len(collect(tmp_path).young) == 4
    assert len(collect(tmp_path, older_than_s=0, dry_run=True).removed) == 4
    assert tree(tmp_path).keys() == {*kept, *orphans}
    garbage = collect(tmp_path, older_than_s=0)
    assert {found.path for found in garbage.removed} == set(orphans[:4]) and garbage.scratch == ("dead",)
    assert tree(tmp_path) == kept


def test_nothing_is_collected_while_an_entry_cannot_be_read(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    orphan = tmp_path / "data" / "train-0-0.arrow"
    orphan.write_bytes(b"x")
    entry = next((tmp_path / "commits").rglob("*.json"))
    entry.write_bytes(entry.read_bytes()[:-5])
    with pytest.raises(CorpusError, match="is broken"):
        collect(tmp_path, older_than_s=0)
    assert orphan.exists()


def test_a_file_that_was_published_anew_while_it_was_looked_at_stays(tmp_path: Path) -> None:
    store, path = LocalStore(tmp_path), tmp_path / "data" / "train-0-0.arrow"
    path.parent.mkdir()
    path.write_bytes(b"old")
    seen = Found("data/train-0-0.arrow", 3, path.stat().st_mtime)
    path.write_bytes(b"new bytes")
    assert not store.remove_unchanged(seen)
    assert path.read_bytes() == b"new bytes"


def _write(root: Path, first: int) -> None:
    plan = [make_task(start, start + 2) for start in range(first, first + 16, 2)]
    for task in plan:
        commit(root, task, make_samples(task.start, task.stop), [make_reject(task.start)])
        take_snapshot(root, plan)


def test_collecting_beside_writers_takes_no_live_file(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_write, args=(tmp_path, first)) for first in (0, 0, 100)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        collect(tmp_path, older_than_s=30)
        time.sleep(0.01)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert verify(tmp_path).ok
    for path in (tmp_path / "data").rglob("*.arrow"):
        os.utime(path, (1, 1))
    collect(tmp_path, older_than_s=30)
    assert verify(tmp_path).ok


def test_streams_of_views_that_were_replaced_are_garbage(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    for value in (1, 2):
        snapshot = read_snapshot(tmp_path)
        table = pa.table({**place_rows(Places(snapshot), [3]), "score": pa.array([value], pa.int64())})
        derive(LocalStore(tmp_path), snapshot, "score", "column", {"value": value}, table)
    view = tmp_path / ".views" / "derived"
    assert len(list(view.glob("*.arrow"))) == 2
    garbage = collect(tmp_path, older_than_s=0)
    assert [found.path.split("/")[1] for found in garbage.removed] == ["derived"]
    assert load_from_disk(str(view))[3]["score"] == 2
