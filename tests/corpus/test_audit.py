"""`verify` passes what the writer made and names what was damaged or never belonged."""

import dataclasses
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.audit.report import MAX_PROBLEMS, Coverage
from corpus.audit.verify import verify
from corpus.changing.deriving import derive, place_rows
from corpus.changing.taking import add_derived, name_snapshot, take_snapshot
from corpus.commit.shards import Limits
from corpus.commit.writer import TaskWriter
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Derived, Snapshot, read_snapshot
from corpus.sealed import seal, unseal
from corpus.store.writing import store_of
from schemas.errors import ConfigError, CorpusError
from schemas.sample import Sample
from schemas.task import Tally
from tests.support.corpora import commit, make_corpus
from tests.support.samples import make_reject, make_sample, make_samples, make_tallies, make_task


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def swapped(table: pa.Table, column: str, value: object = None) -> pa.Table:
    """A table whose column says something else in its last row."""
    values = table.column(column).to_pylist()
    values[-1] = value or ("zz" if isinstance(values[-1], str) else values[-1] + 1)
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def forge(root: Path, find: Callable[[dict], dict], change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a table that the newest snapshot names, and all checksums with it, as a wrong writer would."""
    path = root / f"manifest/{read_snapshot(root).name}.json"
    body = unseal(path.read_bytes())
    said = find(body)
    sink = pa.BufferOutputStream()
    pq.write_table(change(pq.read_table(root / said["path"])), sink)
    data = sink.getvalue().to_pybytes()
    (root / said["path"]).write_bytes(data)
    said.update(bytes=len(data), crc32=zlib.crc32(data))
    path.write_bytes(seal(body))


def problems_of(root: Path, *samples: Sample) -> list[str]:
    """What `verify` says of a corpus of one task with these samples."""
    commit(root, make_task(), samples)
    take_snapshot(root, [make_task()])
    return [problem.what for problem in verify(root).problems]


def test_a_sound_corpus_passes_and_is_counted(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    report = verify(tmp_path)
    files = sum(1 for folder in ("data", "rejects") for _ in (tmp_path / folder).rglob("*.arrow"))
    assert (report.problems, report.ok) == ((), True)
    assert (report.num_files, report.num_rows) == (files, 60)
    assert report.is_whole and report.bytes_read == report.bytes
    assert report.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.arrow"))


def test_any_flipped_bit_is_found_and_its_file_named(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    rng = random.Random(7)
    for path in sorted(tmp_path.rglob("*.arrow")):
        data = path.read_bytes()
        place = rng.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :])
        found = verify(tmp_path).problems
        assert [problem.path for problem in found] == [path.relative_to(tmp_path).as_posix()]
        path.write_bytes(data)
    assert verify(tmp_path).ok


@pytest.mark.parametrize("kind", ["files", "batches", "samples", "keys"])
def test_an_altered_manifest_table_is_found_and_named(tmp_path: Path, kind: str) -> None:
    table = make_corpus(tmp_path, 20).pieces[0].tables[kind]
    flip(tmp_path / table.path, 100)
    found = verify(tmp_path).problems
    assert {problem.path for problem in found} == {table.path}
    assert "its bytes changed" in found[0].what


@pytest.mark.parametrize(
    ("kind", "column", "what"),
    [
        ("files", "rows", "other than the commit entries"),
        ("batches", "crc32", "other than the commit entries"),
        ("samples", "language", "other than its rows in column language"),
        ("keys", "group_id", "other than its rows in column group_id"),
    ],
)
def test_a_table_that_says_other_than_the_shards_is_found_though_its_checksum_is_right(
    tmp_path: Path, kind: str, column: str, what: str
) -> None:
    make_corpus(tmp_path, 20)
    forge(tmp_path, lambda body: body["pieces"][0]["tables"][kind], lambda table: swapped(table, column))
    assert any(what in problem.what for problem in verify(tmp_path).problems)


def test_a_broken_commit_entry_is_found(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path, 20)
    path = tmp_path / "commits" / "captioning" / f"{snapshot.entries[0]}.json"
    path.write_text("{")
    found = verify(tmp_path).problems
    assert {problem.path for problem in found} == {path.relative_to(tmp_path).as_posix()}
    assert "is missing or broken" in found[1].what


def test_a_missing_commit_entry_is_found(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path, 20)
    path = tmp_path / "commits" / "captioning" / f"{snapshot.entries[0]}.json"
    path.unlink()
    (problem,) = verify(tmp_path).problems
    assert problem.path == path.relative_to(tmp_path).as_posix()


def test_sums_of_a_snapshot_that_its_entries_do_not_give_are_found(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    path = tmp_path / "manifest" / "v000001.json"
    path.write_bytes(seal({**unseal(path.read_bytes()), "num_rows": 21, "corpus_sha256": "0"}))
    found = [problem.what for problem in verify(tmp_path).problems]
    assert found[0].startswith("corpus_sha256 is not") and found[1].startswith("num_rows is 21")


def change(sample: Sample, **columns: object) -> Sample:
    return dataclasses.replace(sample, **columns)


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        (change(make_sample(1), content_sha256="0"), "content_sha256 is not the hash"),
        (change(make_sample(1), grade="gold"), "grade is 'gold'"),
        (change(make_sample(1), modality="Thermography"), "modality 'Thermography' is not in the taxonomy"),
        (change(make_sample(1), organ_system="Liver"), "organ system 'Liver' is not in the taxonomy"),
        (change(make_sample(1), organ_systems_also=("Teeth",)), "organ system 'Teeth'"),
        (change(make_sample(1), scope="everything"), "scope 'everything' is not in the taxonomy"),
        (change(make_sample(1), scope="Whole Body"), "only scope 'organ' has one"),
        (change(make_sample(1), media=()), "media cover 0 images and the row holds 1"),
        (change(make_sample(1), num_frames=2), "num_frames is 2 and the row holds 1 images"),
        (change(make_sample(1), images=make_sample(1, num_images=2).images), "messages show 1 images"),
    ],
)
def test_a_row_that_should_not_be_is_named_with_its_id(tmp_path: Path, sample: Sample, what: str) -> None:
    found = problems_of(tmp_path, sample)
    assert any(what in problem and "captioning-demo-source-s0-000001" in problem for problem in found), found


def test_an_id_held_twice_is_found_across_tasks(tmp_path: Path) -> None:
    tasks = [make_task(0, 1), make_task(1, 2)]
    for task in tasks:
        commit(tmp_path, task, [make_sample(5)])
    take_snapshot(tmp_path, tasks)
    (problem,) = verify(tmp_path).problems
    assert "000005': the snapshot holds this id twice" in problem.what


def test_a_patient_in_two_splits_is_found_across_sources_and_workers(tmp_path: Path) -> None:
    tasks = [make_task(i, i + 1, source=source) for i, source in enumerate(("a", "b"))]
    for i, (task, split) in enumerate(zip(tasks, ("train", "test"), strict=True)):
        sample = make_sample(i, source=task.source, split=split)
        commit(tmp_path, task, [change(sample, group_id="tcia:patient-1")])
    take_snapshot(tmp_path, tasks)
    report = verify(tmp_path)
    (problem,) = report.problems
    assert "group 'tcia:patient-1' is in split 'test' here and in 'train' in data/" in problem.what
    assert verify(tmp_path, workers=2, job_bytes=1) == report


def test_a_dropped_row_may_repeat_an_id_and_cross_splits(tmp_path: Path) -> None:
    tasks = [make_task(0, 1), make_task(1, 2)]
    for task, split in zip(tasks, ("train", "test"), strict=True):
        commit(tmp_path, task, [make_sample(5, split=split)])
    snapshot = take_snapshot(tmp_path, tasks)
    assert len(verify(tmp_path).problems) == 2
    drop(tmp_path, snapshot, [1])
    assert verify(tmp_path).ok


def test_tallies_that_disagree_with_the_files_are_found(tmp_path: Path) -> None:
    with TaskWriter(tmp_path, make_task()) as writer:
        writer.add(make_sample(0))
        writer.reject(make_reject(1))
        writer.commit([Tally("Respiratory", "CT", num_in=2, num_kept=2, rejected={"other": 2})], {})
    take_snapshot(tmp_path, [make_task()])
    found = [problem.what for problem in verify(tmp_path).problems]
    assert "Respiratory|CT: its tallies kept 2 and its files hold 1 rows" in found
    assert "its tallies rejected 2 and its rejects hold 1 rows" in found
    assert any("{'too-short': 1} by reason and its task counted {'other': 2}" in what for what in found)


def test_many_problems_of_one_file_are_counted_not_printed(tmp_path: Path) -> None:
    samples = [change(make_sample(i, split="train"), grade="gold") for i in range(MAX_PROBLEMS + 30)]
    found = problems_of(tmp_path, *samples)
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "and 30 more"


def test_a_file_moved_under_another_licence_is_found(tmp_path: Path) -> None:
    task = make_task()
    with TaskWriter(tmp_path, task) as writer:
        samples = make_samples(0, 5)
        for sample in samples:
            writer.add(sample)
        entry = writer.commit(make_tallies(samples), {})
    take_snapshot(tmp_path, [task])
    (tmp_path / entry.files[0].path).rename(tmp_path / entry.files[0].path.replace("train-", "test-"))
    assert [problem.path for problem in verify(tmp_path).problems] == [entry.files[0].path]


def test_a_shard_of_another_schema_is_found(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    file = read_snapshot(tmp_path).read_entries()[0].files[0]
    path = tmp_path / file.path
    table = pa.ipc.open_stream(path.read_bytes()).read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata({"padding": "x"})) as stream:
        stream.write_table(table.replace_schema_metadata({"padding": "x"}))
    data = sink.getvalue().to_pybytes()
    path.write_bytes(data + b"\0" * (file.bytes - len(data)))
    assert {problem.path for problem in verify(tmp_path).problems} == {file.path}


def drop(root: Path, snapshot: Snapshot, rows: list[int], kind: str = "drop", name: str = "takedown") -> Snapshot:
    """Say something about some rows of a snapshot, by number."""
    values = pa.table({**place_rows(Places(snapshot), rows), f"{name}_reason": ["asked"] * len(rows)})
    return derive(store_of(root), snapshot, name, kind, {"test": 1}, values)  # pyright: ignore[reportArgumentType]


def test_derived_columns_and_drops_are_checked_and_their_coverage_told(tmp_path: Path) -> None:
    snapshot = drop(tmp_path, make_corpus(tmp_path), [3, 4])
    drop(tmp_path, snapshot, list(range(60)), "column", "review")
    more = make_task(500, 510)
    commit(tmp_path, more, make_samples(500, 510))
    take_snapshot(tmp_path, [more])
    report = verify(tmp_path)
    assert report.problems == ()
    assert report.derived == (Coverage("review", "column", 60, 70), Coverage("takedown", "drop", 60, 70))


def test_an_altered_part_of_a_derived_column_is_found(tmp_path: Path) -> None:
    snapshot = drop(tmp_path, make_corpus(tmp_path), [3, 4])
    path = snapshot.derived[0].parts[0].table.path
    flip(tmp_path / path, 50)
    assert {problem.path for problem in verify(tmp_path).problems} == {path}
    (tmp_path / path).unlink()
    assert {problem.path for problem in verify(tmp_path).problems} == {path}


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("file", "data/none.arrow", "is in no file of the snapshot"),
        ("batch", 7, "is in no batch of its file"),
        ("batch", -1, "is in no batch of its file"),
        ("row", 99, "is not in its batch"),
        ("row", -1, "is not in its batch"),
    ],
)
def test_a_derived_row_that_does_not_exist_is_found(tmp_path: Path, column: str, value: object, what: str) -> None:
    drop(tmp_path, make_corpus(tmp_path, 20), [0, 1])
    forge(tmp_path, lambda body: body["derived"][0]["parts"][0]["table"], lambda table: swapped(table, column, value))
    found = [problem for problem in verify(tmp_path).problems if problem.path.startswith("derived/takedown/")]
    assert [what in problem.what for problem in found] == [True]


def test_a_derived_row_that_is_named_twice_or_of_an_unnamed_entry_is_found(tmp_path: Path) -> None:
    snapshot = drop(tmp_path, make_corpus(tmp_path, 20), [3, 3, 4])
    (problem,) = verify(tmp_path).problems
    assert "is named twice" in problem.what
    (one,) = snapshot.derived
    part = dataclasses.replace(one.parts[0], entries=snapshot.entries[1:])
    add_derived(tmp_path, Derived(one.name, one.kind, "another", one.columns, (part, one.parts[0])))
    found = [problem.what for problem in verify(tmp_path).problems]
    assert any("is of an entry that it does not name" in what for what in found)
    assert sum("is named twice" in what for what in found) >= 3


def test_pointers_and_names_are_checked(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    name_snapshot(tmp_path, "v1")
    assert verify(tmp_path).ok
    (tmp_path / "manifest/names/v1").write_text("v000009\n")
    (problem,) = verify(tmp_path).problems
    assert problem.path == "manifest/names/v1" and "opens no snapshot" in problem.what


def test_another_snapshot_or_entry_that_is_broken_is_found_too(tmp_path: Path) -> None:
    first = make_corpus(tmp_path, 20)
    other = make_task(500, 505, recipe="other")
    entry = commit(tmp_path, other, make_samples(500, 505))
    drop(tmp_path, first, [1])
    for path in ("manifest/v000001.json", f"commits/{entry.flow}/{entry.task}.json"):
        flip(tmp_path / path, 40)
        (problem,) = verify(tmp_path).problems
        assert problem.path == path
        flip(tmp_path / path, 40)


def test_files_that_nothing_names_are_counted_and_no_problem(tmp_path: Path) -> None:
    file = make_corpus(tmp_path, 20).read_entries()[0].files[0]
    assert verify(tmp_path).unnamed.num_files == 0
    path = tmp_path / file.path
    path.with_name("train-copy.arrow").write_bytes(path.read_bytes())
    report = verify(tmp_path)
    assert report.ok
    assert (report.unnamed.num_files, report.unnamed.bytes) == (1, file.bytes)


def test_workers_report_the_same_problems_in_the_same_order(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path, 40)
    for entry in snapshot.read_entries()[::2]:
        flip(tmp_path / entry.files[0].path, entry.files[0].bytes // 2)
    alone = verify(tmp_path)
    assert len(alone.problems) == 2
    assert verify(tmp_path, workers=2, job_bytes=1) == alone


def test_a_sample_reads_a_seeded_share_of_the_batches_and_says_so(tmp_path: Path) -> None:
    tasks = [make_task(0, 40), make_task(40, 80)]
    for task in tasks:
        samples = [make_sample(i, split="train") for i in range(task.start, task.stop)]
        commit(tmp_path, task, samples, limits=Limits(batch_rows=2))
    take_snapshot(tmp_path, tasks)
    report = verify(tmp_path, sample=0.25)
    assert (report.num_batches, report.num_batches_read, report.num_rows) == (40, 10, 20)
    assert not report.is_whole and 0 < report.bytes_read < report.bytes / 3
    assert verify(tmp_path, sample=0.25, workers=2, job_bytes=1) == report
    found = 0
    for entry in read_snapshot(tmp_path).read_entries():
        for batch in entry.files[0].batches:
            path, place = tmp_path / entry.files[0].path, batch.offset + batch.length - 1
            flip(path, place)
            found += not verify(tmp_path, sample=0.25).ok
            flip(path, place)
    assert found == 10


@pytest.mark.parametrize("sample", [0, -0.1, 1.5])
def test_a_share_that_is_none_is_refused(tmp_path: Path, sample: float) -> None:
    with pytest.raises(ConfigError, match="share above 0"):
        verify(tmp_path, sample=sample)


def test_nothing_to_verify_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no snapshot"):
        verify(tmp_path)


def test_a_report_says_what_was_not_read(tmp_path: Path) -> None:
    drop(tmp_path, make_corpus(tmp_path), [3])
    (tmp_path / "data/leftover.arrow").write_bytes(b"x" * 2_000_000)
    assert list(verify(tmp_path, sample=0.5).lines())[:2] == [
        "drop takedown covers 60 of 60 stored rows",
        "1 files (1.9 MiB) are named by nothing: `calabash gc` removes old ones",
    ]
    *_, sample, verdict = verify(tmp_path, sample=0.5).lines()
    assert sample.startswith("a sample: 20 of 40 record batches (") and "only measured" in sample
    assert verdict.startswith("sound: 40 files, ")
