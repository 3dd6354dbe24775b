"""card, export, push and rehydrate through the command line; the Hub is a real server on loopback."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

import corpus
from corpus.likeness.items import Report
from corpus.sharing.parts import MANIFEST
from flows import likeness_report
from flows.commands import sharing
from schemas.errors import ConfigError, CorpusError, PipelineError, PolicyError
from tests.support.corpora import tree
from tests.support.hub import Hub, serve_hub
from tests.support.pipelines import ROOT, environment, said
from tests.support.samples import make_png
from tests.support.sources import talk, write_flows, write_source

COMMANDS = typer.Typer()
for _command in (sharing.card, sharing.export, sharing.push, sharing.rehydrate):
    COMMANDS.command()(_command)

SECRET = "good"
"""The token that the loopback Hub takes."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline whose corpus has eight rows with a picture that may not be passed on, and two without any."""
    folder = tmp_path_factory.mktemp("pipeline")
    rows: list[dict[str, Any]] = [
        {"id": f"r{n}", "images": f"{n}.png", "turns": talk("What is shown?", f"Finding number {n} of the left lung.")}
        for n in range(8)
    ]
    write_source(folder, "held", rows)
    for n in range(8):
        (folder / "mine/held" / f"{n}.png").write_bytes(make_png(n, 32, 32))
    texts = [
        {"id": f"t{n}", "turns": talk("What is it?", f"It is answer number {n} about a kidney.")} for n in range(2)
    ]
    write_source(folder, "words", texts)
    config = write_flows(folder, {"captioning": ["held", "words"]})
    said("run", "--all", "--no-server", "-c", str(config))
    return folder


def run(folder: Path, *arguments: str, config: bool = True) -> tuple[int, dict[str, Any]]:
    """A command in this process: its exit code and its JSON."""
    where = ["-c", str(folder / "pipeline.toml")] if config else []
    with mock.patch.dict(os.environ, environment()), contextlib.redirect_stdout(io.StringIO()) as printed:
        code = COMMANDS([*arguments, *where, "--json"], standalone_mode=False)
    return int(code or 0), json.loads(printed.getvalue())


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    manifest = json.loads((folder / MANIFEST).read_text())
    tables = [pq.read_table(folder / file["path"]) for file in manifest["files"]]
    return {row["id"]: row for table in tables for row in table.to_pylist()}


def ours(made: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in corpus.open(made / "corpus")}


def test_the_card_names_the_sources_of_the_catalogue(made: Path, tmp_path: Path) -> None:
    code, found = run(made, "card", "--out", str(tmp_path))
    assert code == 0 and "croissant.json" in found["files"]
    page = (tmp_path / "README.md").read_text()
    assert "| held | held | CC-BY-4.0 | ourselves |" in page
    assert not (made / "corpus/croissant.json").exists()


def test_the_card_goes_into_the_corpus_unless_told_otherwise(made: Path) -> None:
    run(made, "card")
    assert "## Known limits" in (made / "corpus/README.md").read_text()
    assert (made / "corpus/card/yields.png").exists()


def test_the_card_has_the_newest_search_for_benchmarks(made: Path, tmp_path: Path) -> None:
    report = Report("vqa-rad", 451, 12, {"text": 3}, {"ratio": 0.5}, ())  # pyright: ignore[reportArgumentType]
    revisions = {"benchmarks": {"vqa-rad": {"revision": "1"}}}
    document = likeness_report.of_benchmarks("v000001", 10, revisions, [report], {})
    (made / "corpus" / likeness_report.FOLDER).mkdir(exist_ok=True)
    (made / "corpus" / likeness_report.FOLDER / "contamination-v000001-1.json").write_text(json.dumps(document))
    run(made, "card", "--out", str(tmp_path))
    assert "| vqa-rad | ratio 0.5 | 12 | 3 |" in (tmp_path / "README.md").read_text()


def test_an_export_takes_filters_and_says_what_it_left(made: Path, tmp_path: Path) -> None:
    _, found = run(made, "export", "jsonl", "--out", str(tmp_path), "--source", "words")
    assert (found["num_rows"], found["dropped_by_license"]) == (2, {})
    assert (tmp_path / "README.md").exists()


def test_a_filter_that_no_row_can_pass_is_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="did you mean"):
        run(made, "export", "parquet", "--out", str(tmp_path), "--modality", "CTT")


@pytest.fixture
def pushed(made: Path, tmp_path: Path) -> Path:
    """The corpus, pushed to a folder."""
    run(made, "push", str(tmp_path / "there"), "--work", str(tmp_path / "work"))
    return tmp_path / "there"


def test_a_push_keeps_back_what_may_not_be_passed_on(made: Path, pushed: Path) -> None:
    rows = rows_of(pushed)
    assert rows.keys() == ours(made).keys()
    held = [row for row in rows.values() if row["source"] == "held"]
    assert [row["images"] for row in held] == [None] * 8
    for row in held:
        (pointer,), (image,) = row["withheld"], ours(made)[row["id"]]["images"]
        assert pointer["sha256"] == hashlib.sha256(image["bytes"]).hexdigest()
        assert row["record_id"] and row["media"][0]["sha256"] and row["media"][0]["origin"]
    everything = b"".join(tree(pushed).values())
    assert not any(image["bytes"] in everything for row in ours(made).values() for image in row["images"])
    assert "The images of 8 rows may not be passed on" in (pushed / "README.md").read_text()


def test_a_second_push_sends_nothing(made: Path, pushed: Path, tmp_path: Path) -> None:
    before = tree(pushed)
    _, found = run(made, "push", str(pushed), "--work", str(tmp_path / "other"))
    assert found["num_sent"] == 0
    assert tree(pushed) == before


def test_the_next_push_takes_away_what_the_last_one_put_there_and_nothing_else(made: Path, pushed: Path) -> None:
    (pushed / "data/notes.txt").write_text("not ours")
    _, found = run(made, "push", str(pushed), "--source", "words")
    assert found["num_removed"] > 0
    assert rows_of(pushed).keys() == {id_ for id_, row in ours(made).items() if row["source"] == "words"}
    named = {file["path"] for file in json.loads((pushed / MANIFEST).read_text())["files"]}
    data = {path for path in tree(pushed) if path.startswith("data/")}
    assert data == {*named, "data/notes.txt"}


def test_rehydration_gives_every_row_its_own_pictures_back(made: Path, pushed: Path, tmp_path: Path) -> None:
    code, found = run(made, "rehydrate", str(pushed), "--out", str(tmp_path / "whole"))
    assert (code, found["num_rows"], found["num_fetched"], found["problems"]) == (0, 10, 8, {})
    whole = rows_of(tmp_path / "whole")
    for id_, row in ours(made).items():
        assert whole[id_] == row


def test_a_second_rehydration_does_nothing(made: Path, pushed: Path, tmp_path: Path) -> None:
    run(made, "rehydrate", str(pushed), "--out", str(tmp_path / "whole"))
    before = tree(tmp_path / "whole")
    assert run(made, "rehydrate", str(pushed), "--out", str(tmp_path / "whole"))[0] == 0
    assert tree(tmp_path / "whole") == before


@pytest.fixture
def elsewhere(made: Path, tmp_path: Path) -> Path:
    """A pipeline folder with the same catalogue, whose data a test may spoil."""
    shutil.copytree(made / "mine", tmp_path / "theirs/mine")
    shutil.copy(made / "pipeline.toml", tmp_path / "theirs/pipeline.toml")
    return tmp_path / "theirs"


def test_a_picture_that_comes_out_otherwise_is_a_counted_problem(elsewhere: Path, pushed: Path, tmp_path: Path) -> None:
    (elsewhere / "mine/held/3.png").write_bytes(make_png(99, 32, 32))
    code, found = run(elsewhere, "rehydrate", str(pushed), "--out", str(tmp_path / "whole"))
    assert (code, found["num_rows"], found["problems"]) == (1, 9, {"image-differs": 1})
    (line,) = (tmp_path / "whole/problems.jsonl").read_text().splitlines()
    assert json.loads(line)["record_id"] == "r3"
    for row in rows_of(tmp_path / "whole").values():
        assert len(row["images"]) == row["num_frames"]


def test_a_record_that_is_gone_and_one_that_is_refused_are_named(elsewhere: Path, pushed: Path, tmp_path: Path) -> None:
    lines = (elsewhere / "mine/held/rows.jsonl").read_text().splitlines()
    (elsewhere / "mine/held/rows.jsonl").write_text("\n".join([lines[7].replace("r7", "r9"), *lines[1:7], lines[0]]))
    (elsewhere / "mine/held/1.png").unlink()
    code, found = run(elsewhere, "rehydrate", str(pushed), "--out", str(tmp_path / "whole"))
    assert (code, found["problems"]) == (1, {"record-missing": 1, "record-refused": 1})
    assert found["num_rows"] == 8


def test_a_source_that_is_not_in_the_catalogue_is_named(pushed: Path, tmp_path: Path) -> None:
    code, found = run(tmp_path, "rehydrate", str(pushed), "--out", str(tmp_path / "whole"))
    assert (code, found["num_rows"], found["problems"]) == (1, 2, {"source-unknown": 8})


def test_a_changed_text_is_no_row_of_ours(made: Path, pushed: Path, tmp_path: Path) -> None:
    manifest = json.loads((pushed / MANIFEST).read_text())
    file = next(file for file in manifest["files"] if file["withheld"])
    table = pq.read_table(pushed / file["path"])
    messages = table["messages"].to_pylist()
    messages[0][1]["content"][0]["text"] = "Forged."
    forged = table.set_column(
        table.schema.get_field_index("messages"), "messages", pa.array(messages, table.schema.field("messages").type)
    )
    pq.write_table(forged.cast(table.schema), pushed / file["path"])
    with pytest.raises(CorpusError, match="is not the file that its manifest names"):
        run(made, "rehydrate", str(pushed), "--out", str(tmp_path / "one"))
    data = (pushed / file["path"]).read_bytes()
    file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (pushed / MANIFEST).write_text(json.dumps(manifest))
    assert run(made, "rehydrate", str(pushed), "--out", str(tmp_path / "two"))[1]["problems"] == {"row-changed": 1}


def test_a_folder_that_is_no_export_is_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no export"):
        run(made, "rehydrate", str(tmp_path), "--out", str(tmp_path / "whole"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub() as served:
        yield served


SCRIPT = """
import sys
import typer
import corpus.sharing.pushing as pushing
from flows.commands import sharing
from schemas.errors import PipelineError
pushing.COMMIT_FILES = 1
app = typer.Typer()
for command in (sharing.push, sharing.rehydrate):
    app.command()(command)
try:
    app(sys.argv[1:], standalone_mode=False)
except PipelineError as error:
    print(type(error).__name__, error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def command(hub: Hub, home: Path, *arguments: str, token: str = SECRET) -> subprocess.Popen[str]:
    """A command in a process of its own: huggingface_hub reads where the Hub is when it is imported."""
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": token,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """The JSON of a command that succeeds, and all that it said."""
    out, error = running.communicate(timeout=240)
    assert running.returncode == 0, error
    return json.loads(out), out + error


def test_a_push_to_the_hub_that_is_killed_goes_on_and_sends_only_what_is_missing(
    made: Path, tmp_path: Path, hub: Hub
) -> None:
    push = ("push", "hf://org/name", "-c", str(made / "pipeline.toml"), "--work", str(tmp_path / "work"), "--json")
    hub.stall_after = 1
    first = command(hub, tmp_path / "hf", *push)
    assert hub.stalled.wait(120), first.communicate(timeout=20)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    hub.stall_after = None
    hub.resume.set()  # the commit that was under way when it died is lost
    before = list(hub.puts)
    assert len(hub.commits) == 1 and "README.md" not in hub.repos["org/name"]

    found, _ = finished(command(hub, tmp_path / "hf", *push))
    assert found["num_sent"] == found["num_files"] - 1
    assert len(hub.puts) == len(set(hub.puts))
    assert set(before) < set(hub.puts)
    assert hub.commits[-1][0] == "README.md"
    manifest = json.loads(hub.repos["org/name"][MANIFEST])
    for file in manifest["files"]:
        assert hashlib.sha256(hub.repos["org/name"][file["path"]]).hexdigest() == file["sha256"]
    assert "Bearer good" in hub.tokens


@pytest.mark.slow
def test_what_the_hub_has_is_not_sent_again_and_comes_back_whole(made: Path, tmp_path: Path, hub: Hub) -> None:
    push = ("push", "hf://org/name", "-c", str(made / "pipeline.toml"), "--work", str(tmp_path / "work"), "--json")
    finished(command(hub, tmp_path / "hf", *push))
    num = len(hub.puts), len(hub.commits)
    found, _ = finished(command(hub, tmp_path / "hf", *push))
    assert found["num_sent"] == 0
    assert (len(hub.puts), len(hub.commits)) == num

    fewer, _ = finished(command(hub, tmp_path / "hf", *push, "--source", "words"))
    assert fewer["num_removed"] == found["num_files"]
    finished(command(hub, tmp_path / "hf", *push))
    back = ("rehydrate", "hf://org/name", "--out", str(tmp_path / "whole"), *push[2:4], "--json")
    assert finished(command(hub, tmp_path / "hf", *back))[0]["problems"] == {}
    assert rows_of(tmp_path / "whole") == ours(made)


@pytest.mark.slow
def test_a_token_that_may_not_write_is_refused_in_one_sentence(made: Path, tmp_path: Path, hub: Hub) -> None:
    push = ("push", "hf://org/name", "-c", str(made / "pipeline.toml"), "--work", str(tmp_path / "work"))
    refused = command(hub, tmp_path / "hf", *push, token="hf_secret_of_mine")
    out, error = refused.communicate(timeout=120)
    assert refused.returncode == CorpusError.exit_code
    assert "cannot push to hf://org/name: Client error '401" in error and "HF_TOKEN" in error
    assert "hf_secret_of_mine" not in out + error
    assert not any(b"hf_secret_of_mine" in data for data in tree(tmp_path / "work").values())


def test_no_upload_begins_where_a_row_lacks_a_licence_class(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise PolicyError("rows lack a licence class")

    monkeypatch.setattr("corpus.sharing.export.licensed", lacking)
    monkeypatch.setattr("corpus.sharing.pushing.target_of", lambda *_: pytest.fail("it opened the target"))
    with pytest.raises(PolicyError):
        run(made, "push", "hf://org/name")


def test_a_name_that_is_no_dataset_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="hf://ORG/NAME"):
        run(made, "push", "hf://name", "--work", str(tmp_path))
