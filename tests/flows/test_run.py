"""Five flows end to end through the command line, against a deterministic endpoint."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

import corpus
from corpus.audit.verify import verify
from corpus.commit.entries import read_entries
from schemas.arrow import SAMPLE_SCHEMA
from tests.support.pipelines import FLOWS, ROOT, calabash, said, write_pipeline
from tests.support.serving import serve
from tests.support.sites import Site


@pytest.fixture
def made(undisturbed: Site) -> Path:
    """A folder with a pipeline.toml whose five flows have run."""
    return undisturbed.folder


def _said(folder: Path, *arguments: str) -> str:
    return said(*arguments, "-c", str(folder / "pipeline.toml"))


def _ids(folder: Path) -> list[str]:
    return corpus.open(folder / "corpus", demo=True).to_pandas()["id"].tolist()


def test_every_flow_commits_rows_and_the_corpus_is_sound(made: Path) -> None:
    report = verify(made / "corpus")
    assert report.ok, report.problems
    rows = corpus.open(made / "corpus", demo=True).to_pandas()
    assert set(rows["flow"]) == set(FLOWS)
    assert set(rows["grade"]) == {"production"}
    assert rows["id"].is_unique


def test_a_commit_entry_says_where_each_teacher_ran_and_what_its_operator_promised(made: Path) -> None:
    for entry in read_entries(made / "corpus").values():
        (standing,) = entry.made["teachers"].values()
        assert standing["locality"] == "loopback"
        assert set(standing["attestation"]) == {"zero_retention", "no_training", "no_human_review", "contract"}


def test_nothing_is_lost_between_records_and_rows(made: Path) -> None:
    table = json.loads(_said(made, "stats", "--json"))
    for total in table["totals"]:
        unmade = total["num_in"] - total["num_generated"]
        refused = sum(total["rejected"].values())
        # every record in is a reject or has conversations; every conversation is a row or a reject
        assert refused >= max(unmade, 0)
        assert total["num_kept"] <= total["num_generated"]
    rejects = corpus.open(made / "corpus", demo=True).rejects()
    assert rejects.num_rows == sum(sum(total["rejected"].values()) for total in table["totals"])
    assert all(reason for reason in rejects.column("reason").to_pylist())


def test_a_second_run_finds_nothing_to_do_and_imports_nothing_heavy(made: Path) -> None:
    before = (made / "endpoint.log").read_text()
    assert _said(made, "run", "--all").startswith("Nothing to do")
    assert (made / "endpoint.log").read_text() == before


def test_a_limited_run_after_a_whole_one_finds_nothing_to_do(made: Path) -> None:
    assert _said(made, "run", "captioning", "--limit", "2").startswith("Nothing to do")


def test_a_tag_filter_after_a_whole_run_finds_nothing_to_do(made: Path) -> None:
    assert _said(made, "run", "captioning", "--tag", "CT").startswith("Nothing to do")


def test_every_row_can_be_reproduced_from_kept_replies(made: Path) -> None:
    for flow in FLOWS:
        sample = next(id_ for id_ in _ids(made) if id_.startswith(flow))
        assert "same" in _said(made, "reproduce", sample)


def test_show_tells_where_a_row_came_from(made: Path) -> None:
    sample = _ids(made)[0]
    shown = _said(made, "show", sample)
    for word in ("license", "made by", "check", "test-model"):
        assert word in shown
    assert json.loads(_said(made, "show", sample, "--json"))["id"] == sample


def test_status_counts_tasks(made: Path) -> None:
    status = json.loads(_said(made, "status", "--json"))
    assert all(flow["num_done"] == flow["num_tasks"] > 0 for flow in status["flows"])


def test_verify_ends_with_1_and_names_the_file_when_a_bit_is_flipped(made: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(made, tmp_path / "copy")
    shard = next((tmp_path / "copy").glob("corpus/data/**/*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = calabash("verify", "-c", str(tmp_path / "copy" / "pipeline.toml"))
    assert done.returncode == 1
    assert shard.name in done.stdout


def test_preview_commits_nothing_and_its_replies_are_used_by_the_run(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log") as url:
        path = write_pipeline(tmp_path, url, samples=4)
        page = tmp_path / "page.html"
        shown = _said(tmp_path, "preview", "captioning", "-n", "4", "--html", str(page))
        assert "reply" in shown
        html = page.read_text()
        assert "<script" not in html
        assert html.count("<article>") == 4
        assert not (tmp_path / "corpus" / "commits").exists()
        asked = (tmp_path / "endpoint.log").read_text().split()
        calabash("run", "captioning", "--no-server", "-c", str(path), check=True)
    answered = (tmp_path / "endpoint.log").read_text().split()
    assert len(answered) == len(set(answered)) > len(asked) > 0


def test_preview_takes_another_prompt_file(made: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "mine.md"
    prompt.write_text(
        (ROOT / "generators" / "prompts" / "caption.md").read_text().replace("Write one caption", "Compose one caption")
    )
    shown = _said(made, "preview", "captioning", "-n", "1", "--prompt", str(prompt), "--html", str(tmp_path / "p.html"))
    assert "Compose one caption" in shown


def test_rows_carry_pictures_and_provenance(made: Path) -> None:
    rows = list(corpus.open(made / "corpus", demo=True).filter(flow="captioning"))
    table = pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA)
    assert table.num_rows == len(rows) > 0
    for row in rows:
        assert row["images"] and row["asks"] and row["verdicts"] and row["tag_evidence"]
        assert row["modality"] and (row["organ_system"] or row["scope"] != "organ")
        assert row["license"] and row["license_class"]
        parts = [part["type"] for message in row["messages"] for part in message["content"]]
        assert parts.count("image") == len(row["images"]) == row["num_frames"]


def test_a_narrow_run_pays_for_its_part_and_a_whole_run_replaces_it(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log") as url:
        path = str(write_pipeline(tmp_path, url))
        said("run", "captioning", "--no-server", "--tag", "CT", "-c", path)
        narrow = corpus.open(tmp_path / "corpus").to_pandas()
        said("run", "captioning", "--no-server", "--limit", "1", "-c", path)
        said("run", "captioning", "--no-server", "-c", path)
        whole = corpus.open(tmp_path / "corpus").to_pandas()
    assert set(narrow["modality"]) == {"CT"}
    assert set(narrow["id"]) < set(whole["id"])
    assert whole["id"].is_unique
    assert verify(tmp_path / "corpus").ok
    asked = (tmp_path / "endpoint.log").read_text().split()
    assert len(asked) == len(set(asked)) == 8
