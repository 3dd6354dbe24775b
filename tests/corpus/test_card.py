"""The corpus's README and the whole dataset card: configurations, tables, pictures, front matter."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard
from PIL import Image

import corpus
from corpus.changing.taking import take_snapshot
from corpus.layout import modality_slug
from corpus.manifest.snapshot import read_snapshot
from corpus.sharing import configs
from corpus.sharing.card import card, stored_of
from corpus.sharing.configs import CardFile, configurations
from corpus.sharing.export import Request, export, plan_export
from corpus.sharing.facts import SourceNote
from corpus.sharing.full_card import size_category
from corpus.sharing.presenting import corpus_card, export_card
from tests.corpus.test_view import learn
from tests.support.corpora import commit, make_corpus
from tests.support.samples import make_samples, make_task

NOTES = [SourceNote("demo-source", "A demonstration", "Doe J. 2024", "CC-BY-4.0", True)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    first = make_corpus(folder)
    lengths = learn(folder, first, "lengths", "column", list(range(60)), num_tokens=pa.array(range(60), pa.int32()))
    learn(folder, lengths, "contamination", "drop", [1, 5], reason=pa.array(["same image as a benchmark"] * 2))
    return folder


@pytest.fixture(scope="module")
def files(root: Path) -> dict[str, bytes]:
    return corpus_card(corpus.open(root), NOTES, {"Contamination": "1 candidate, 1 removed."})


def test_the_readme_tells_dropped_rows_from_the_others(root: Path) -> None:
    page = (root / "README.md").read_text()
    assert "Up to 2 of these rows are dropped" in page
    assert "60 rows in" in page


def test_the_readme_reads_no_commit_entry(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = read_snapshot(root)
    monkeypatch.setattr("corpus.manifest.snapshot.read_named", lambda *_: pytest.fail("it read a commit entry"))
    assert card(opened) == (root / "README.md").read_text()


def test_the_sums_of_the_tables_are_those_of_the_rows(root: Path) -> None:
    stored = stored_of(read_snapshot(root))
    rows = corpus.open(root).samples()
    assert sum(stored.by_split.values()) == sum(stored.by_class.values()) == sum(stored.cells.values()) == 60
    assert len(rows) == 58
    assert stored.num_bytes == sum((root / file.path).stat().st_size for file in stored.files)


def test_many_files_are_named_by_patterns_that_find_the_same_ones(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored_of(read_snapshot(root)).files
    listed = configurations(found)
    monkeypatch.setattr(configs, "MAX_LISTED", 3)
    globbed = configurations(found)
    assert list(globbed) == list(listed)
    assert sum(len(paths) for splits in globbed.values() for paths in splits.values()) < 30
    for name, splits in listed.items():
        for split, paths in splits.items():
            matched = {path for pattern in globbed[name][split] for path in root.glob(pattern)}
            assert {path.relative_to(root).as_posix() for path in matched} == set(paths)


def loaded(folder: Path, home: Path) -> dict[str, int]:
    """Rows of two configurations."""
    names = ("captioning", "x-ray")
    splits = {name: load_dataset(str(folder), name, cache_dir=str(home / "cache")) for name in names}
    return {name: sum(len(rows) for rows in found.values()) for name, found in splits.items()}


def test_load_dataset_takes_the_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "MAX_LISTED", 3)
    make_corpus(tmp_path / "corpus")
    assert "/*/modality=x-ray/train-*.arrow" in (tmp_path / "corpus/README.md").read_text()
    assert loaded(tmp_path / "corpus", tmp_path) == {"captioning": 30, "x-ray": 12}


def test_load_dataset_reads_an_export_by_its_card(root: Path, tmp_path: Path) -> None:
    plan = plan_export(corpus.open(root), Request())
    manifest = export(plan, tmp_path / "out")
    for path, data in export_card(plan, manifest, NOTES).items():
        (tmp_path / "out" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / path).write_bytes(data)
    x_rays = len(corpus.open(root).filter(modality="X-Ray"))
    captions = len(corpus.open(root).filter(flow="captioning"))
    assert loaded(tmp_path / "out", tmp_path) == {"captioning": captions, "x-ray": x_rays}


def test_the_whole_card_is_one_that_the_hub_reads(files: dict[str, bytes]) -> None:
    data = DatasetCard(files["README.md"].decode()).data.to_dict()
    assert (data["license"], data["language"], data["size_categories"]) == ("other", ["en"], ["n<1K"])
    assert [one["config_name"] for one in data["configs"]][:3] == ["default", "captioning", "synthetic-qa"]
    features = {one["name"]: one for one in data["dataset_info"]["features"]}
    assert features["images"] == {"name": "images", "list": "image"}
    assert features["num_frames"]["dtype"] == "int32"


def test_the_whole_card_says_what_is_in_it_and_where_from(files: dict[str, bytes]) -> None:
    page = files["README.md"].decode()
    assert "58 rows" in page
    assert "| captioning | too-short | 3 |" in page
    assert "| demo-source | A demonstration | CC-BY-4.0 | Doe J. 2024 |" in page
    assert "| same image as a benchmark | 2 |" in page
    assert "## Contamination\n\n1 candidate, 1 removed." in page
    assert "Known limits" in page


def test_its_pictures_are_pictures_and_the_same_each_time(root: Path, files: dict[str, bytes]) -> None:
    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    assert sorted(pictures) == [f"card/{name}.png" for name in ("languages", "lengths", "organ-modality", "yields")]
    page = files["README.md"].decode()
    for name, data in pictures.items():
        assert Image.open(io.BytesIO(data)).width > 300
        assert f"({name})" in page
    assert corpus_card(corpus.open(root), NOTES, {"Contamination": "1 candidate, 1 removed."}) == files


def test_the_card_of_a_filtered_corpus_counts_that(root: Path) -> None:
    page = corpus_card(corpus.open(root).filter(modality="CT"), NOTES)["README.md"].decode()
    assert "| Respiratory |" in page and "| Nervous |" not in page


def test_a_corpus_without_rows_has_a_card(tmp_path: Path) -> None:
    task = make_task()
    commit(tmp_path, task, [])
    take_snapshot(tmp_path, [task])
    page = corpus_card(corpus.open(tmp_path), NOTES)["README.md"].decode()
    assert "0 rows" in page


@pytest.mark.parametrize(
    ("rows", "name"), [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (16_700_000, "10M<n<100M")]
)
def test_size_categories_are_the_hubs(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_a_card_of_16_million_rows_stays_small(tmp_path: Path) -> None:
    modalities = ["CT", "MRI", "X-Ray", None]
    found = [
        CardFile(
            f"data/captioning/attribution/modality={modality_slug(m)}/train-{n:012d}.arrow",
            "captioning",
            m or "text",
            "train",
        )
        for n, m in ((n, modalities[n % 4]) for n in range(12_000))
    ]
    assert len(configs.yaml_of(configurations(found))) < 3_000


def test_rows_of_another_task_do_not_enter_the_numbers_of_a_filtered_card(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path, 20)
    task = make_task(500, 510, flow="captioning", source="zzz")
    commit(tmp_path, task, make_samples(500, 510, flow="captioning", source="zzz"))
    assert "zzz" not in corpus_card(corpus.open(tmp_path, snapshot=snapshot.name), NOTES)["README.md"].decode()
