"""Croissant: the reference implementation takes it, and reads the rows of an export by it."""

import json
import logging
from pathlib import Path

import mlcroissant
import pytest

import corpus
from corpus.sharing.export import Request, export, plan_export
from corpus.sharing.facts import SourceNote
from corpus.sharing.presenting import corpus_card, export_card
from tests.support.corpora import make_corpus

NOTES = [SourceNote("demo-source", "A demonstration", "Doe J. 2024", "CC-BY-4.0", True)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, 20)
    return folder


def opened(folder: Path, data: bytes) -> mlcroissant.Dataset:
    """The metadata as the reference implementation validates it: it raises for an error, and logs warnings."""
    (folder / "croissant.json").write_bytes(data)
    return mlcroissant.Dataset(str(folder / "croissant.json"))


def test_the_metadata_of_a_corpus_is_valid(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = opened(tmp_path, corpus_card(corpus.open(root), NOTES)["croissant.json"])
    assert not [record for record in caplog.records if "error" in record.message.lower()]
    assert found.metadata.name == "calabash-corpus"
    assert [one.uuid for one in found.metadata.record_sets] == ["rows"]


def test_it_says_what_responsible_use_must_know(root: Path, tmp_path: Path) -> None:
    found = opened(tmp_path, corpus_card(corpus.open(root), NOTES)["croissant.json"]).metadata
    for name in (
        "data_collection",
        "data_preprocessing_protocol",
        "data_annotation_protocol",
        "machine_annotation_tools",
        "data_limitations",
        "data_biases",
        "data_use_cases",
        "personal_sensitive_information",
        "data_release_maintenance_plan",
    ):
        assert getattr(found, name), name


def test_the_rows_of_an_export_are_read_by_it(root: Path, tmp_path: Path) -> None:
    plan = plan_export(corpus.open(root), Request())
    manifest = export(plan, tmp_path)
    found = opened(tmp_path, export_card(plan, manifest, NOTES)["croissant.json"])
    rows = {row["rows/id"].decode(): row for row in found.records("rows")}
    ours = {row["id"]: row for row in corpus.open(root)}
    assert rows.keys() == ours.keys()
    for id_, row in rows.items():
        assert row["rows/num_frames"] == ours[id_]["num_frames"]
        assert len(row["rows/images"]) == ours[id_]["num_frames"]
        assert all(image.size == (8, 8) for image in row["rows/images"])
    listed = json.loads((tmp_path / "croissant.json").read_text())["distribution"]
    hashes = {one["name"]: one["sha256"] for one in listed if one["@type"] == "cr:FileObject"}
    assert hashes == {file["path"]: file["sha256"] for file in manifest["files"]}


def test_an_invalid_one_would_not_pass(root: Path, tmp_path: Path) -> None:
    data = json.loads(corpus_card(corpus.open(root), NOTES)["croissant.json"])
    data["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "elsewhere"
    with pytest.raises((mlcroissant.ValidationError, ValueError, KeyError)):
        opened(tmp_path, json.dumps(data).encode())
