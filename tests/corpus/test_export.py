"""Exports: the same rows in other formats, whole or resumed, under a licence profile."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import corpus
from corpus.changing.taking import take_snapshot
from corpus.commit.writer import TaskWriter
from corpus.sharing.export import Request, export, plan_export
from corpus.sharing.formats import MEDIA_ROWS, TEXT_ROWS, groups
from corpus.sharing.parts import MANIFEST
from schemas.errors import ConfigError, PolicyError
from schemas.license import LicenseClass
from tests.corpus.test_view import learn
from tests.support.corpora import commit, make_corpus, tree
from tests.support.pipelines import ROOT
from tests.support.samples import make_sample, make_samples, make_task

HELD = frozenset[str]()
"""No source may pass its media on."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 rows, one derived column, two drops."""
    folder = tmp_path_factory.mktemp("corpus")
    first = make_corpus(folder)
    lengths = learn(folder, first, "lengths", "column", list(range(60)), num_tokens=pa.array(range(60), pa.int32()))
    learn(folder, lengths, "near-duplicates", "drop", [1, 5], reason=pa.array(["like row 0", None]))
    return folder


def written(root: Path, out: Path, *, part_bytes: int = 1 << 30, **request: Any) -> dict[str, Any]:
    plan = plan_export(corpus.open(root), Request(**request), part_bytes)
    return export(plan, out)


def of_classes(root: Path, classes: list[str]) -> None:
    tasks = [make_task(10 * n, 10 * n + 10) for n in range(len(classes))]
    for task, name in zip(tasks, classes, strict=True):
        commit(root, task, make_samples(task.start, task.stop, license_class=name))
    take_snapshot(root, tasks)


def test_parquet_holds_every_column_every_row_and_no_dropped_one(root: Path, tmp_path: Path) -> None:
    manifest = written(root, tmp_path)
    tables = [pq.read_table(tmp_path / file["path"], page_checksum_verification=True) for file in manifest["files"]]
    found = pa.concat_tables(tables).sort_by("id")
    ours = corpus.open(root).to_arrow().combine_chunks().sort_by("id")
    assert found.num_rows == manifest["num_rows"] == 58
    assert found.equals(ours.select(found.column_names))
    assert found.column_names[-1] == "num_tokens"


def test_load_dataset_decodes_the_images_of_the_parquet(root: Path, tmp_path: Path) -> None:
    written(root, tmp_path / "out")
    files = [str(path) for path in (tmp_path / "out").rglob("*.parquet")]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 58
    assert next(row["images"][0].size for row in rows if row["images"]) == (8, 8)


def test_parquet_has_small_groups_checksums_and_images_as_they_are(root: Path, tmp_path: Path) -> None:
    many = tmp_path / "corpus"
    task = make_task(0, 250)
    commit(many, task, make_samples(0, 250, modality="CT", split="train"))
    take_snapshot(many, [task])
    manifest = written(many, tmp_path / "out")
    (file,) = manifest["files"]
    about = pq.ParquetFile(tmp_path / "out" / file["path"]).metadata
    assert [about.row_group(n).num_rows for n in range(about.num_row_groups)] == [100, 100, 50]
    columns = [about.row_group(0).column(n) for n in range(about.num_columns)]
    blobs = next(column for column in columns if column.path_in_schema == "images.list.element.bytes")
    assert blobs.compression == "UNCOMPRESSED"
    path = tmp_path / "out" / file["path"]
    data = bytearray(path.read_bytes())
    data[blobs.data_page_offset + blobs.total_compressed_size // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


@given(st.lists(st.tuples(st.integers(1, 260), st.booleans()), max_size=6))
def test_row_groups_keep_the_order_and_their_bounds(sizes: list[tuple[int, bool]]) -> None:
    kind = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    batches, first = [], 0
    for num, media in sizes:
        images = [[{"bytes": b"x", "path": None}] if media else []] * num
        batches.append(pa.record_batch({"n": pa.array(range(first, first + num)), "images": pa.array(images, kind)}))
        first += num
    found = list(groups(batches))
    assert [n for group in found for n in group["n"].to_pylist()] == list(range(first))
    assert all(group.num_rows <= TEXT_ROWS for group in found)
    assert all(group.num_rows <= MEDIA_ROWS for group in found if sizes and all(media for _, media in sizes))


@pytest.mark.parametrize("kind", ["parquet", "webdataset", "jsonl"])
def test_the_same_rows_make_the_same_bytes(kind: str, root: Path, tmp_path: Path) -> None:
    written(root, tmp_path / "one", format=kind)
    written(root, tmp_path / "two", format=kind)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("kind", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
def test_a_second_call_writes_nothing_and_mends_what_is_missing(kind: str, root: Path, tmp_path: Path) -> None:
    written(root, tmp_path, format=kind)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    written(root, tmp_path, format=kind)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    whole = tree(tmp_path)
    next(iter(sorted((tmp_path / "data").rglob("*.*")))).unlink()
    written(root, tmp_path, format=kind)
    assert tree(tmp_path) == whole


KILLED = """
import sys, time
from pathlib import Path
import corpus
from corpus.sharing.export import Request, export, plan_export
def wait(part, was_there):
    print(part.path, was_there, flush=True)
    time.sleep(0.02)
export(plan_export(corpus.open(sys.argv[1]), Request(format=sys.argv[3]), 4_000), Path(sys.argv[2]), wait)
"""


@pytest.mark.parametrize("kind", ["parquet", pytest.param("webdataset", marks=pytest.mark.slow)])
def test_a_killed_export_goes_on_and_ends_as_the_undisturbed_one(kind: str, root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(root), str(tmp_path / "killed"), kind]
    said: list[str] = []
    for _ in range(2):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            said += [running.stdout.readline() for _ in range(3)]
            time.sleep(0.01)
            running.send_signal(signal.SIGKILL)
            assert running.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed" / MANIFEST).exists()
    kept = [line for line in said if line.rstrip().endswith("True")]
    assert kept
    done = written(root, tmp_path / "killed", part_bytes=4_000, format=kind)
    assert done == written(root, tmp_path / "undisturbed", part_bytes=4_000, format=kind)
    assert tree(tmp_path / "killed") == tree(tmp_path / "undisturbed")


def test_a_folder_that_holds_another_export_is_refused_by_what_differs(root: Path, tmp_path: Path) -> None:
    written(root, tmp_path)
    with pytest.raises(ConfigError, match=r"format was 'parquet', now 'jsonl'"):
        written(root, tmp_path, format="jsonl")


def test_the_manifest_names_every_file_with_its_hash(root: Path, tmp_path: Path) -> None:
    manifest = written(root, tmp_path, format="webdataset")
    assert json.loads((tmp_path / MANIFEST).read_text()) == manifest
    for file in manifest["files"]:
        assert hashlib.sha256((tmp_path / file["path"]).read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.slow
def test_webdataset_reads_the_tars(root: Path, tmp_path: Path) -> None:
    import webdataset  # type: ignore[import-untyped]

    manifest = written(root, tmp_path, format="webdataset")
    urls = [str(tmp_path / file["path"]) for file in manifest["files"]]
    rows = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert {row["json"]["id"] for row in rows} == set(corpus.open(root).to_arrow()["id"].to_pylist())
    with_image = [row for row in rows if row["json"]["images"]]
    assert len(with_image) == sum(row["json"]["num_frames"] > 0 for row in rows) > 0
    assert all(row[name].size == (8, 8) for row in with_image for name in row["json"]["images"])


def test_a_tar_holds_each_row_before_its_images_with_no_clock_and_no_user(root: Path, tmp_path: Path) -> None:
    by_id = {row["id"]: row for row in corpus.open(root)}
    for file in written(root, tmp_path, format="webdataset")["files"]:
        with tarfile.open(tmp_path / file["path"]) as tar:
            members = {one.name: tar.extractfile(one).read() for one in tar}  # pyright: ignore[reportOptionalMemberAccess]
            assert {(one.mtime, one.uid, one.uname) for one in tar} == {(0, 0, "")}
        for name in (name for name in members if name.endswith(".json")):
            row, key = json.loads(members[name]), name.removesuffix(".json")
            images = [members[f"{key}.{image}"] for image in row["images"]]
            assert images == [image["bytes"] for image in by_id[row["id"]]["images"]]


def test_json_lines_name_their_images_by_hash(root: Path, tmp_path: Path) -> None:
    manifest = written(root, tmp_path, format="jsonl")
    rows = [json.loads(line) for file in manifest["files"] for line in (tmp_path / file["path"]).open()]
    assert len(rows) == 58
    for row in rows:
        for name in row["images"]:
            data = (tmp_path / name).read_bytes()
            assert Image.open(io.BytesIO(data)).size == (8, 8)
            assert hashlib.sha256(data).hexdigest() in name


def test_profile_commercial_drops_and_counts_what_it_may_not_take(tmp_path: Path) -> None:
    of_classes(tmp_path / "corpus", [str(name) for name in LicenseClass])
    kept = {}
    for profile in ("commercial", "research", "any"):
        manifest = written(tmp_path / "corpus", tmp_path / profile, license_profile=profile)
        tables = [pq.read_table(tmp_path / profile / file["path"]) for file in manifest["files"]]
        assert all(len(table["license_class"].unique()) == 1 for table in tables)
        kept[profile] = sorted({table["license_class"][0].as_py() for table in tables})
        dropped = manifest["about"]["dropped_by_license"]
        assert manifest["num_rows"] + sum(dropped.values()) == 60
    assert kept["commercial"] == ["attribution", "public-domain", "share-alike"]
    assert set(kept["any"]) - set(kept["research"]) == {"unknown"}


def test_one_row_without_a_class_fails_the_profile_before_a_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TaskWriter, "_check", lambda *_: None)  # a writer that checks nothing made this corpus
    of_classes(tmp_path / "corpus", ["attribution", ""])
    for profile in ("commercial", "research"):
        with pytest.raises(PolicyError, match=r"lack a licence class: 10 with ''"):
            written(tmp_path / "corpus", tmp_path / "out", license_profile=profile)
    assert not (tmp_path / "out").exists()


def test_withheld_images_are_null_and_named_by_their_hashes(root: Path, tmp_path: Path) -> None:
    manifest = written(root, tmp_path, redistributable=HELD)
    rows = [row for file in manifest["files"] for row in pq.read_table(tmp_path / file["path"]).to_pylist()]
    by_id = {row["id"]: row for row in corpus.open(root)}
    assert manifest["num_withheld"] == sum(row["num_frames"] > 0 for row in rows) > 0
    for row in rows:
        images = by_id[row["id"]]["images"]
        if images:
            assert row["images"] is None
            assert [one["sha256"] for one in row["withheld"]] == [
                hashlib.sha256(i["bytes"]).hexdigest() for i in images
            ]
        else:
            assert (row["images"], row["withheld"]) == ([], None)


def test_a_source_that_may_pass_its_media_on_keeps_its_images(root: Path, tmp_path: Path) -> None:
    manifest = written(root, tmp_path, redistributable=frozenset({"demo-source"}))
    assert manifest["num_withheld"] == 0
    for file in manifest["files"]:
        table = pq.read_table(tmp_path / file["path"])
        assert table["images"].null_count == 0 and table["withheld"].null_count == len(table)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Ten rows: multiple choice and yes/no with gold, open with gold, multiple choice without."""
    kinds = [
        ("multiple_choice", "B"),
        ("yes_no", "yes"),
        ("open", "a stone"),
        ("multiple_choice", None),
        ("free_text", None),
    ]
    samples = []
    for i in range(10):
        kind, gold = kinds[i % 5]
        samples.append(replace(make_sample(i, num_images=i % 3), answer_type=kind, gold=gold, pass_rate=0.5))
    task = make_task(0, 10)
    commit(tmp_path / "corpus", task, samples)
    take_snapshot(tmp_path / "corpus", [task])
    return tmp_path / "corpus"


def test_profile_rl_is_a_prompt_only_conversational_vision_dataset(questions: Path, tmp_path: Path) -> None:
    manifest = written(questions, tmp_path / "out", profile="rl")
    files = [str(tmp_path / "out" / file["path"]) for file in manifest["files"]]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted((row["answer_type"], row["solution"]) for row in rows) == sorted(
        [("multiple_choice", "B"), ("yes_no", "yes")] * 2
    )
    for row in rows:
        assert [message["role"] for message in row["prompt"]] == ["user"]
        parts = [part["type"] for message in row["prompt"] for part in message["content"]]
        assert parts.count("image") == len(row["images"])
        assert row["pass_rate"] == 0.5


@pytest.mark.slow
def test_trl_takes_the_prompts_as_they_are(questions: Path, tmp_path: Path) -> None:
    data_utils = pytest.importorskip("trl.data_utils")
    manifest = written(questions, tmp_path / "out", profile="rl")
    files = [str(tmp_path / "out" / file["path"]) for file in manifest["files"]]
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    for row in rows:
        assert data_utils.is_conversational(row)
        prepared = data_utils.prepare_multimodal_messages(row["prompt"], images=row["images"])
        held = [part for message in prepared for part in message["content"] if part["type"] == "image"]
        assert [part["image"] for part in held] == row["images"]


def test_rows_without_a_name_cannot_be_withheld(questions: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no records"):
        written(questions, tmp_path / "out", profile="rl", redistributable=HELD)
