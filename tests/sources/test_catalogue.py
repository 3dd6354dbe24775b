"""Entries: found by id, checked to the key, cheap to list, extended by a folder of the user's own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ConfigError, SourceError
from schemas.record import Access, Egress, Record, Reject
from schemas.taxonomy import Modality, OrganSystem
from sources import files
from sources.catalogue import catalogue, load_catalogue, load_entry, open_source
from sources.tagging.cascade import tag

ROOT = Path(__file__).parents[2]
MINE = """
id = "my-cases"
title = "Ten cases of ours"
shape = "jsonl"
path = "cases"
pinned = "2026-11-23"
records = 6
access = "registration"
egress = "local_only"
citation = "ourselves"

[license]
name = "CC-BY-4.0"
commercial = true
derivatives = true

[columns]
file = "rows.jsonl"
id = "case"
group = "patient"
images = "pictures"
caption = "text"
labels = "findings"
question = "q"
answer = "a"
options = "choices"
modality = "kind"
placeholders = ["Not given."]
modalities = { "xray" = "X-Ray" }
metadata = { "view" = "projection" }
"""
ROWS = [
    {"case": "c1", "patient": "p1", "pictures": "a.png", "text": "A normal chest.", "kind": "xray", "projection": "PA"},
    {"case": "c2", "patient": "p1", "pictures": ["a.png", "b.png"], "text": "Not given.", "findings": ["nodule", ""]},
    {"case": "c3", "pictures": "absent.png"},
    {"case": "c4", "pictures": "../secret.png"},
    {"case": "c5", "q": "Which lobe?", "a": "B", "choices": {"A": "left upper lobe of lung", "B": "middle lobe"}},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalogue folder with one entry and its data, five good rows and one that is no JSON."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "mine.toml").write_text(MINE)
    lines = [json.dumps(row) for row in ROWS] + ["{broken"]
    (tmp_path / "cases" / "rows.jsonl").write_text("\n".join(lines) + "\n\n")
    for name, shade in (("a.png", 90), ("b.png", 180)):
        pixels = np.full((30, 40), shade, np.uint8)
        pixels[5:10, 5:10] = 255
        Image.fromarray(pixels).save(tmp_path / "cases" / name)
    (tmp_path / "secret.png").write_bytes((tmp_path / "cases" / "a.png").read_bytes())
    return tmp_path


def read(folder: Path, start: int = 0, stop: int | None = None) -> list[Record | Reject]:
    source = open_source("my-cases", load_catalogue(folder))
    return list(source.records(source.shards()[0], start, stop))


def test_a_folder_of_entries_joins_the_catalogue(folder: Path) -> None:
    known = load_catalogue(folder)
    assert set(known) == {*catalogue(), "my-cases"}
    entry = known["my-cases"]
    assert (entry.access, entry.egress) == (Access.REGISTRATION, Egress.LOCAL_ONLY)
    assert entry.revision.startswith("2026-11-23+")


def test_rows_become_records_and_bad_rows_rejects_in_their_places(folder: Path) -> None:
    first, second, *rejects, fifth, last = read(folder)
    assert isinstance(first, Record) and isinstance(second, Record) and isinstance(fifth, Record)
    assert (first.id, first.group_id, first.facts.caption) == ("c1", "p1", "A normal chest.")
    assert first.facts.metadata == {"view": "PA"}
    assert tag(first).modality is Modality.XRAY and tag(first).organ_system is OrganSystem.RESPIRATORY
    assert len(second.frames) == 2 and second.facts.caption == "" and second.facts.labels == ("nodule",)
    assert [r.reason for r in rejects if isinstance(r, Reject)] == ["missing-file", "outside-folder"]
    assert fifth.facts.question is not None and fifth.facts.question.gold == "middle lobe"
    assert isinstance(last, Reject) and (last.record_id, last.reason) == ("line-6", "broken-row")


def test_a_range_reads_the_same_rows(folder: Path) -> None:
    assert read(folder, 1, 4) == read(folder)[1:4]
    assert read(folder, 4) == read(folder)[4:]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "Patient: Smith, seen 2020-01-02"}, "phi-in-text"),
        ({"kind": "holography"}, "unmapped-modality"),
        ({"q": "Which?", "a": "neither", "choices": ["this", "that"]}, "answer-not-an-option"),
        ({"pictures": "rows.jsonl"}, "undecodable"),
    ],
)
def test_what_a_row_may_not_hold_rejects_it_and_never_shows_it(
    folder: Path, row: dict[str, object], reason: str
) -> None:
    path = folder / "cases" / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (folder / "mine.toml").write_text(MINE.replace("records = 6", "records = 1"))
    (only,) = read(folder)
    assert isinstance(only, Reject) and only.reason == reason
    assert "Smith" not in repr(only)


def test_a_changed_count_stops_with_both_numbers(folder: Path) -> None:
    (folder / "mine.toml").write_text(MINE.replace("records = 6", "records = 7"))
    with pytest.raises(SourceError, match=r"7 records, rows\.jsonl has 6 lines"):
        read(folder)


def test_a_missing_file_or_folder_stops_with_its_name(folder: Path) -> None:
    (folder / "cases" / "rows.jsonl").unlink()
    with pytest.raises(SourceError, match=r"'rows.jsonl' is missing"):
        read(folder)
    (folder / "mine.toml").write_text(MINE.replace('path = "cases"', 'path = "elsewhere"'))
    with pytest.raises(SourceError, match=r"no folder .*elsewhere"):
        read(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('citation = "ourselves"', 'citaton = "us"', r"unknown key 'citaton': did you mean 'citation'"),
        ('caption = "text"', 'captoin = "text"', r"'columns.captoin': did you mean 'columns.caption'"),
        ('shape = "jsonl"', 'shape = "parquet"', "key 'shape'"),
        ('shape = "jsonl"', 'shape = "icd10cm"', "key 'questions' is missing"),
        ('pinned = "2026-11-23"', "", "'path' and 'pinned'"),
        ("records = 6", 'records = 6\nflows = ["captoning"]', "did you mean 'captioning'"),
        ('id = "my-cases"', 'id = "icd-10-cm"', "already in the catalogue"),
        ('path = "cases"', 'path = "cases"\nfolder = "/tmp"', "'folder' is not yours"),
        ('name = "CC-BY-4.0"', "name = ", "not valid TOML"),
    ],
)
def test_a_wrong_entry_is_a_sentence_that_names_the_key(folder: Path, old: str, new: str, message: str) -> None:
    assert old in MINE
    (folder / "mine.toml").write_text(MINE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_catalogue(folder)


def test_an_unknown_id_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'pydicom-images'"):
        open_source("pydicom-image")
    with pytest.raises(ConfigError, match="no such folder"):
        load_catalogue(Path("/nowhere/at/all"))


def test_another_installed_version_stops_with_both(tmp_path: Path) -> None:
    text = (ROOT / "sources" / "catalog" / "skimage-photos.toml").read_text()
    path = tmp_path / "photos.toml"
    path.write_text(text.replace('"0.26.0"', '"0.25.1"'))
    source = open_source("skimage-photos", {"skimage-photos": load_entry(path)})
    with pytest.raises(SourceError, match=r"scikit-image==0\.25\.1, and 0\.26\.0 is installed"):
        list(source.records(source.shards()[0]))
    path.write_text(text.replace("scikit-image", "scikit-imagine"))
    with pytest.raises(SourceError, match="is not installed"):
        list(open_source("x", {"x": load_entry(path)}).records(source.shards()[0]))
    path.write_text(text.replace("data/retina.jpg", "data/retina.jpeg"))
    with pytest.raises(SourceError, match=r"retina.jpeg' is missing"):
        list(open_source("x", {"x": load_entry(path)}).records(source.shards()[0]))


def test_a_terminology_of_another_size_stops_with_both_counts(tmp_path: Path) -> None:
    text = (ROOT / "sources" / "catalog" / "icd-10-cm.toml").read_text()
    path = tmp_path / "icd.toml"
    path.write_text(text.replace("records = 1259", "records = 1000"))
    source = open_source("icd-10-cm", {"icd-10-cm": load_entry(path)})
    with pytest.raises(SourceError, match="says 1000 questions, the terminology gives 1259"):
        list(source.records(source.shards()[0]))


def test_editing_a_fact_changes_the_revision_and_a_title_does_not() -> None:
    entry = catalogue()["skimage-photos"]
    assert entry.model_copy(update={"title": "Other"}).revision == entry.revision
    assert entry.model_copy(update={"max_side": 512}).revision != entry.revision


def test_no_origin_names_this_machine() -> None:
    entry = catalogue()["skimage-photos"]
    assert files.origin(entry, "skimage:data/retina.jpg") == "scikit-image==0.26.0:data/retina.jpg"


def test_listing_every_shard_imports_nothing_heavy_and_is_quick() -> None:
    code = (
        "import sys, time, schemas.pipeline\n"
        "start = time.process_time()\n"
        "from sources.catalogue import catalogue, open_source\n"
        "shards = [shard for id in catalogue() for shard in open_source(id).shards()]\n"
        "spent = time.process_time() - start\n"
        "heavy = {'numpy', 'pydicom', 'nibabel', 'PIL', 'simple_icd_10_cm', 'ffmpeg', 'pandas', 'pyarrow'}\n"
        "print(len(shards), sorted(heavy & set(sys.modules)), spent)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    count, rest = done.stdout.split(" ", 1)
    heavy, spent = rest.rsplit(" ", 1)
    assert int(count) == len(catalogue()) and heavy == "[]"
    assert float(spent) < 0.3, "150 ms on a quiet core; twice that here"


def test_two_threads_that_open_the_terminology_first_see_all_of_it() -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from sources.catalogue import open_source\n"
        "def read(number):\n"
        "    source = open_source('icd-10-cm')\n"
        "    return [record.id for record in source.records(source.shards()[0], 0, 3)]\n"
        "first, second = ThreadPoolExecutor(2).map(read, range(2))\n"
        "assert first == second and len(first) == 3\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])
