"""The benchmarks of the corpus run on few rows, check what they read, and end with every key."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import corpus_formats as formats
from benchmarks.corpus_rows import expected, hashes, load_rows, make_rows
from benchmarks.corpus_scale import make, planned
from benchmarks.manifest_scale import MEASURES
from tests.support.pipelines import ROOT


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty-four made rows."""
    folder = tmp_path_factory.mktemp("rows")
    make_rows(folder, 64)
    return folder


def test_rows_are_what_was_made_and_made_alike_twice(rows: Path, tmp_path: Path) -> None:
    make_rows(tmp_path, 64)
    once, again = load_rows(rows), load_rows(tmp_path)
    assert once == again
    assert expected(rows) == (64, f"{hashes(row.image for row in once):016x}")
    assert len({row.image for row in once}) == 64


def test_every_way_of_ours_reads_every_byte_and_resumes_exactly(rows: Path, tmp_path: Path) -> None:
    written = formats.measure(formats.WRITER, "write", rows, tmp_path)
    assert written["rows"] == 64
    assert formats.measure(formats.BARE_WRITER, "write", rows, tmp_path)["cpu_s"] > 0
    for system in (formats.OURS, formats.MMAP, formats.LEAN):
        assert formats.measure(system, "sequential", rows, tmp_path)["rows"] == 64
    shuffled = formats.measure(formats.OURS, "shuffled", rows, tmp_path)
    assert shuffled["rows"] == 64
    assert shuffled["displacement"] > 0.1
    exact = formats.measure(formats.OURS, "exactness", rows, tmp_path)
    assert exact["missing"] == exact["doubled"] == exact["moved"] == 0


def test_a_reader_whose_bytes_are_not_those_that_were_stored_is_an_error(rows: Path, tmp_path: Path) -> None:
    formats.measure(formats.WRITER, "write", rows, tmp_path)
    other = tmp_path / "other"
    make_rows(other, 64, seed=2)
    with pytest.raises(RuntimeError, match="were stored with xor"):
        formats.measure(formats.OURS, "shuffled", other, tmp_path)


def test_a_small_manifest_is_planned_filtered_mixed_and_compared(tmp_path: Path) -> None:
    made = make(tmp_path, 20)
    num_tasks = len(planned(20))
    plan = MEASURES["plan"](tmp_path, 20)
    assert plan["done"] == plan["of"] == num_tasks
    taken = MEASURES["snapshot"](tmp_path, 20)
    assert taken["rows"] == made.num_rows + 256
    assert MEASURES["diff"](tmp_path, 20)["added"] == 256
    assert 0 < MEASURES["filter"](tmp_path, 20)["rows"] < taken["rows"]
    assert MEASURES["resume"](tmp_path, 20)["rows"] == 512
    once, again = (MEASURES["mixture-quick"](tmp_path, 20) for _ in range(2))
    assert once["draws"] > 0
    assert once["digest"] == again["digest"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("corpus_write", {"ratio_to_pyarrow", "commit_ms"}),
        (
            "corpus_read",
            {
                "sequential_vs_mmap",
                "shuffled_vs_litdata",
                "shuffled_vs_mds",
                "dataloader_vs_best",
                "resume_ms",
                "random_row_us",
            },
        ),
    ],
)
def test_the_quick_form_ends_with_one_json_object_of_every_key(name: str, keys: set[str]) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert keys <= set(json.loads(done.stdout.splitlines()[-1]))
