"""`verify` passes what the writer made and names what was damaged or never belonged."""

import dataclasses
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.audit import MAX_PROBLEMS, verify
from corpus.snapshot import read_snapshot, take_snapshot
from corpus.writer import TaskWriter
from schemas.errors import CorpusError
from schemas.sample import Sample
from schemas.task import Tally
from tests.support.corpora import commit, make_corpus
from tests.support.samples import make_reject, make_sample, make_samples, make_tallies, make_task


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


@pytest.mark.parametrize("name", ["files.parquet", "batches.parquet", "samples.parquet"])
def test_an_altered_manifest_table_is_found(tmp_path: Path, name: str) -> None:
    path = make_corpus(tmp_path, 20).path / name
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    (problem,) = verify(tmp_path).problems
    assert problem.path == "manifest/v000001" and name in problem.what


def test_a_broken_commit_entry_is_found(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path, 20)
    path = tmp_path / "commits" / "captioning" / f"{snapshot.entries[0]}.json"
    path.write_text("{")
    found = verify(tmp_path).problems
    assert found[0].path == path.relative_to(tmp_path).as_posix()
    assert found[1].what == "1 of its commit entries cannot be read"


def test_an_altered_manifest_is_found(tmp_path: Path) -> None:
    path = make_corpus(tmp_path, 20).path / "manifest.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "num_rows": 21}))
    (problem,) = verify(tmp_path).problems
    assert "num_rows is 21" in problem.what


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


def test_a_patient_in_two_splits_is_found(tmp_path: Path) -> None:
    samples = [make_sample(i, group_id="patient", split=split) for i, split in enumerate(("train", "test"))]
    found = problems_of(tmp_path, *samples)
    assert len(found) == 1 and "group 'patient' of source 'demo-source'" in found[0]


def test_the_same_group_name_of_two_sources_is_no_problem(tmp_path: Path) -> None:
    tasks = [make_task(0, 1, source=source) for source in ("a", "b")]
    for task, split in zip(tasks, ("train", "test"), strict=True):
        commit(tmp_path, task, [make_sample(0, source=task.source, group_id="1", split=split)])
    take_snapshot(tmp_path, tasks)
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
    (problem,) = verify(tmp_path).problems
    assert problem.path == file.path and "another schema" in problem.what


def test_nothing_to_verify_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no snapshot"):
        verify(tmp_path)
