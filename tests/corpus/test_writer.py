"""What a task's writer publishes, and what it leaves behind when it does not."""

import dataclasses
import multiprocessing
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.audit.verify import verify
from corpus.changing.taking import take_snapshot
from corpus.commit.entries import read_entries
from corpus.commit.shards import PIECE_ROWS, Limits, batch_of
from corpus.commit.writer import TaskWriter
from schemas.arrow import REJECT_SCHEMA, SAMPLE_SCHEMA
from schemas.errors import CorpusError
from tests.support.corpora import commit, tree
from tests.support.samples import make_reject, make_sample, make_samples, make_tallies, make_task


def test_identical_samples_make_byte_identical_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for root in (one, other):
        commit(root, make_task(0, 40), make_samples(0, 40), [make_reject(99)])
    arrows = {path: data for path, data in tree(one).items() if path.endswith(".arrow")}
    assert len(arrows) > 4
    assert arrows == {path: data for path, data in tree(other).items() if path.endswith(".arrow")}


def test_offsets_open_each_batch_and_the_bytes_are_what_pyarrow_writes(tmp_path: Path) -> None:
    samples = [make_sample(i, split="train") for i in range(20)]
    entry = commit(tmp_path, make_task(0, 20), samples, limits=Limits(batch_rows=6))
    (file,) = entry.files
    data = (tmp_path / file.path).read_bytes()
    batches = [
        pa.ipc.read_record_batch(pa.py_buffer(data)[b.offset : b.offset + b.length], SAMPLE_SCHEMA)
        for b in file.batches
    ]
    assert [batch.num_rows for batch in batches] == [6, 6, 6, 2] == [b.rows for b in file.batches]
    assert [b.cells for b in file.batches] == [{"Respiratory|CT": n} for n in (6, 6, 6, 2)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SAMPLE_SCHEMA) as stream:
        for batch in batches:
            stream.write_batch(batch)
    assert sink.getvalue().to_pybytes() == data


def test_a_batch_that_is_made_in_pieces_has_the_bytes_of_one_made_at_once(tmp_path: Path) -> None:
    samples = [make_sample(i, split="train") for i in range(2 * PIECE_ROWS + 5)]
    late = [dataclasses.replace(sample, pass_rate=0.5, gold=None) for sample in samples[PIECE_ROWS + 1 :]]
    samples = [*samples[: PIECE_ROWS + 1], *late]
    (file,) = commit(tmp_path, make_task(0, len(samples)), samples).files
    (batch,) = file.batches
    written = (tmp_path / file.path).read_bytes()[batch.offset : batch.offset + batch.length]
    assert written == batch_of([sample.row() for sample in samples], SAMPLE_SCHEMA).serialize().to_pybytes()
    assert batch.cells == {"Respiratory|CT": len(samples)}


def test_batches_and_shards_end_at_their_limits(tmp_path: Path) -> None:
    limits = Limits(batch_bytes=40_000, shard_bytes=100_000)
    samples = [make_sample(i, split="train", image_size=64) for i in range(24)]
    entry = commit(tmp_path, make_task(0, 24), samples, limits=limits)
    assert len(entry.files) > 2
    assert all(batch.blob_bytes <= 40_000 for file in entry.files for batch in file.batches)
    assert all(file.bytes < 100_000 + 60_000 for file in entry.files)
    snapshot = take_snapshot(tmp_path, [make_task(0, 24)])
    assert snapshot.num_rows == 24
    assert verify(tmp_path).ok


def test_a_row_over_the_batch_cap_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="over the cap of 20,000"):
        commit(tmp_path, make_task(), [make_sample(0, image_size=128)], limits=Limits(row_bytes=20_000))
    assert tree(tmp_path) == {}


def test_partitions_never_share_a_file(tmp_path: Path) -> None:
    samples = [
        make_sample(0, split="train"),
        make_sample(1, split="train", license_class="share-alike"),
        make_sample(2, split="test"),
        make_sample(3, split="train", modality="Digital Photograph"),
        make_sample(4, split="train", modality=None),
    ]
    entry = commit(tmp_path, make_task(0, 5), samples)
    folders = sorted(file.path.rsplit("-", 2)[0] for file in entry.files)
    assert folders == [
        "data/captioning/attribution/modality=ct/test",
        "data/captioning/attribution/modality=ct/train",
        "data/captioning/attribution/modality=digital-photograph/train",
        "data/captioning/attribution/modality=text/train",
        "data/captioning/share-alike/modality=ct/train",
    ]


def test_a_task_that_kept_nothing_commits_its_rejects(tmp_path: Path) -> None:
    entry = commit(tmp_path, make_task(), [], [make_reject(0), make_reject(1)])
    assert entry.files == ()
    assert entry.rejects is not None and entry.rejects.rows == 2
    with pa.memory_map(str(tmp_path / entry.rejects.path)) as mapped:
        table = pa.ipc.open_stream(mapped).read_all()
    assert table.schema.equals(REJECT_SCHEMA, check_metadata=True)
    assert table.column("task").to_pylist() == [entry.task] * 2
    assert take_snapshot(tmp_path, [make_task()]).num_rows == 0
    assert verify(tmp_path).ok


def test_leaving_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), TaskWriter(tmp_path, make_task()) as writer:
        writer.add(make_sample(0))
        raise KeyboardInterrupt
    assert tree(tmp_path) == {}
    assert list((tmp_path / "staging").iterdir()) == []


def test_the_first_worker_wins_and_the_losers_files_go(tmp_path: Path) -> None:
    task = make_task(0, 2)
    same = [make_sample(i, split="train") for i in range(2)]
    other = [make_sample(i, split="train", text="Another reply.") for i in range(2)]
    with TaskWriter(tmp_path, task) as late, TaskWriter(tmp_path, task) as twin:
        for mine, theirs in zip(other, same, strict=True):
            late.add(mine)
            twin.add(theirs)
        first = commit(tmp_path, task, same)
        before = tree(tmp_path / "data")
        assert late.commit(make_tallies(other), {}) == first
        assert twin.commit(make_tallies(same), {}) == first
    assert tree(tmp_path / "data") == before


def _race(root: Path, number: int) -> None:
    for start in range(0, 12, 2):
        samples = [make_sample(i, text=f"Reply of worker {number}.") for i in range(start, start + 2)]
        commit(root, make_task(start, start + 2), samples)


def test_racing_processes_commit_every_task_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_race, args=(tmp_path, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    planned = [make_task(start, start + 2) for start in range(0, 12, 2)]
    assert take_snapshot(tmp_path, planned).num_rows == 12
    assert verify(tmp_path).ok
    named = {file.path for entry in read_entries(tmp_path).values() for file in entry.files}
    assert {f"data/{path}" for path in tree(tmp_path / "data")} == named


def test_a_sample_of_another_task_or_with_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with TaskWriter(tmp_path, make_task()) as writer:
        with pytest.raises(CorpusError, match="flow is 'synthetic-qa'"):
            writer.add(make_sample(0, flow="synthetic-qa"))
        with pytest.raises(CorpusError, match=r"split is 'dev'.*'train' or 'validation' or 'test'"):
            writer.add(make_sample(0, split="dev"))


def test_a_value_of_another_type_names_its_column_and_rows(tmp_path: Path) -> None:
    bad = dataclasses.replace(make_sample(3), num_pixels="many")  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match=r"column 'num_pixels' wants int64.*000003"):
        commit(tmp_path, make_task(), [bad])


def test_a_corpus_path_that_is_a_file_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="part of the path is a file"):
        commit(tmp_path / "file" / "corpus", make_task(), [make_sample(0)])


def test_a_write_that_the_disk_refuses_is_a_plain_error_and_commits_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.support.corpora import commit\n"
        "from tests.support.samples import make_sample, make_task\n"
        "from schemas.errors import CorpusError\n"
        "try: commit(Path(sys.argv[1]), make_task(), [make_sample(i, image_size=64) for i in range(9)])\n"
        "except CorpusError as error: print(error); raise SystemExit(error.exit_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5, done.stderr
    assert "cannot write to the corpus" in done.stdout and "size limit" in done.stdout
    assert tree(tmp_path) == {}
