"""What `corpus.open` gives, and what it refuses to give."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

import corpus
from corpus.audit.verify import verify
from corpus.changing.taking import take_snapshot
from corpus.commit.entries import FileEntry
from corpus.commit.shards import Limits
from corpus.manifest.snapshot import read_snapshot
from schemas.errors import CorpusError
from tests.support.corpora import commit, make_corpus
from tests.support.samples import make_sample, make_samples, make_task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def test_every_row_comes_back_as_it_was_written(root: Path) -> None:
    written = {s.id: s.row() for flow in ("captioning", "synthetic-qa") for s in make_samples(0, 30, flow=flow)}
    rows = list(corpus.open(root))
    assert len(rows) == 60 == len(corpus.open(root))
    for row in rows:
        expected = written[row["id"]]
        assert {k: list(v) if isinstance(v, tuple) else v for k, v in expected.items()} == row


@pytest.mark.parametrize(
    ("filters", "num_rows"),
    [
        ({"modality": "CT"}, 12),
        ({"modality": "x-ray"}, 12),
        ({"modality": "text"}, 12),
        ({"modality": None}, 12),
        ({"modality": ["CT", None]}, 24),
        ({"organ_system": "Nervous"}, 12),
        ({"organ_system": ["Whole Body", "Respiratory"]}, 24),
        ({"flow": "captioning", "modality": "CT"}, 6),
        ({"language": "zh"}, 0),
        ({"modality": ()}, 0),
        ({"source": "demo-source", "license_class": "attribution", "task": "caption"}, 60),
    ],
)
def test_filters_pick_rows_by_tag(root: Path, filters: dict, num_rows: int) -> None:
    picked = corpus.open(root).filter(**filters)
    assert len(picked) == num_rows
    ids = [row["id"] for row in picked]
    assert ids == list(picked.to_pandas().id) == picked.to_arrow().column("id").to_pylist()
    assert len(ids) == num_rows


def test_filters_add_up_and_leave_the_first_corpus_alone(root: Path) -> None:
    everything = corpus.open(root)
    both = everything.filter(modality=["CT", "MRI"])
    assert len(both.filter(modality=["MRI", "PET"])) == 12
    assert len(both.filter(modality="PET")) == 0
    assert (len(both), len(everything)) == (24, 60)


def test_a_value_that_no_row_can_have_names_the_nearest(root: Path) -> None:
    with pytest.raises(CorpusError, match="no value 'Xray'; did you mean 'X-Ray'"):
        corpus.open(root).filter(modality="Xray")


def test_a_filter_opens_only_the_files_it_needs(root: Path) -> None:
    files = [file for entry in read_snapshot(root).read_entries() for file in entry.files]
    hidden = [root / file.path for file in files if file.modality != "CT"]
    try:
        for path in hidden:
            path.rename(path.with_suffix(".away"))
        assert len(list(corpus.open(root).filter(modality="CT"))) == 12
    finally:
        for path in hidden:
            path.with_suffix(".away").rename(path)


def test_scattered_rows_of_a_batch_are_picked_in_order(tmp_path: Path) -> None:
    samples = [make_sample(i, split="train", organ_system=("Nervous", "Respiratory")[i % 2]) for i in range(20)]
    commit(tmp_path, make_task(0, 20), samples, limits=Limits(batch_rows=8))
    take_snapshot(tmp_path, [make_task(0, 20)])
    picked = corpus.open(tmp_path).filter(organ_system="Respiratory").to_arrow()
    assert picked.column("id").to_pylist() == [s.id for s in samples[1::2]]
    assert picked.column("images").to_pylist() == [list(s.images) for s in samples[1::2]]


def test_one_row_by_id_and_the_nearest_ids_of_an_unknown_one(root: Path) -> None:
    row = corpus.open(root).row("captioning-demo-source-s0-000007")
    assert row["record_id"] == "s0-record-7"
    with pytest.raises(CorpusError, match="nearest: captioning-demo-source-s0-00000"):
        corpus.open(root).row("captioning-demo-source-s0-00000")


def test_to_pandas_has_every_tag_and_no_blob(root: Path) -> None:
    frame = corpus.open(root).to_pandas()
    assert {"id", "modality", "organ_system", "split", "num_pixels"} <= set(frame.columns)
    assert {"images", "messages", "file", "batch", "row"}.isdisjoint(frame.columns)


def test_to_hf_decodes_images(root: Path) -> None:
    data = corpus.open(root).filter(modality="CT").to_hf()
    assert len(data) == 12
    image = data[0]["images"][0]
    assert isinstance(image, Image.Image) and image.size == (8, 8)


def test_an_unfiltered_table_is_mapped_not_copied(root: Path) -> None:
    import pyarrow as pa

    before = pa.total_allocated_bytes()
    table = corpus.open(root).to_arrow()
    assert table.num_rows == 60
    assert pa.total_allocated_bytes() - before < table.nbytes / 2


def test_rejects_are_there_and_follow_the_flow(root: Path) -> None:
    assert corpus.open(root).rejects().num_rows == 6
    only = corpus.open(root).filter(flow="captioning").rejects()
    assert set(only.column("flow").to_pylist()) == {"captioning"}
    assert only.num_rows == 3


def test_demo_rows_are_left_out_with_a_word_about_it(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20, grade="demo")
    with pytest.warns(UserWarning, match=r"corpus\.open\(path, demo=True\)"):
        assert len(corpus.open(tmp_path)) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(corpus.open(tmp_path, demo=True)) == 20
        assert len(list(corpus.open(tmp_path, demo=True).filter(modality="CT"))) == 4


def first_file(root: Path) -> FileEntry:
    return read_snapshot(root).read_entries()[0].files[0]


def test_a_file_cut_at_a_batch_boundary_is_an_error_not_a_shorter_corpus(tmp_path: Path) -> None:
    samples = [make_sample(i, split="train") for i in range(20)]
    commit(tmp_path, make_task(0, 20), samples, limits=Limits(batch_rows=5))
    take_snapshot(tmp_path, [make_task(0, 20)])
    file = first_file(tmp_path)
    path = tmp_path / file.path
    path.write_bytes(path.read_bytes()[: file.batches[2].offset])
    with pytest.raises(CorpusError, match=f"{path.name} ends at byte"):
        list(corpus.open(tmp_path))
    (problem,) = verify(tmp_path).problems
    assert problem.path == file.path and "were committed" in problem.what


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    file = first_file(tmp_path)
    (tmp_path / file.path).unlink()
    with pytest.raises(CorpusError, match=Path(file.path).name):
        corpus.open(tmp_path).to_arrow()
    assert [problem.path for problem in verify(tmp_path).problems] == [file.path]


def test_an_older_snapshot_opens_by_name(tmp_path: Path) -> None:
    for task in (make_task(0, 5), make_task(5, 10)):
        commit(tmp_path, task, make_samples(task.start, task.stop))
        take_snapshot(tmp_path, [task])
    assert len(corpus.open(tmp_path, snapshot="v000001")) == 5
    assert len(corpus.open(tmp_path)) == 10


def test_planning_imports_nothing_heavy() -> None:
    script = (
        "import sys, corpus, corpus.commit.entries, corpus.commit.selection, corpus.manifest.snapshot\n"
        "import corpus.audit.stats\n"
        "heavy = {'pyarrow', 'datasets', 'pandas', 'numpy', 'PIL', 'xxhash'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
