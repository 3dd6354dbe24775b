"""The command line: what people and scripts are told, and what each mistake ends in."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import corpus
from tests.support.pipelines import ROOT, calabash, environment, said, write_pipeline
from tests.support.serving import serve

NOBODY = "http://127.0.0.1:9/v1"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _assert_says(folder: Path, exit_code: int, words: list[str], *arguments: str, **variables: str) -> None:
    done = calabash(*arguments, "-c", str(folder / "pipeline.toml"), **variables)
    assert done.returncode == exit_code, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(folder.glob("corpus/commits/**/*.json"))
    assert not list(folder.glob("corpus/data/**/*.arrow"))


def test_an_unknown_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    write_pipeline(tmp_path, NOBODY, more="\n[flows.captioning.gate]\nmin_words = 3\n")
    _assert_says(tmp_path, 2, ["flows.captioning.gate", "flows.captioning.gates"], "run", "--all")


def test_an_unknown_gate_and_an_ill_typed_option_are_named(tmp_path: Path) -> None:
    write_pipeline(tmp_path, NOBODY, more="\n[flows.captioning.gates]\nmin_word = 3\n")
    _assert_says(tmp_path, 2, ["[flows.captioning].gates", "min_words"], "config", "check")
    write_pipeline(tmp_path, NOBODY, more='\n[flows.captioning.options]\nmax_tokens = "many"\n')
    _assert_says(tmp_path, 2, ["flows.captioning", "max_tokens", "many"], "config", "check")


def test_unknown_names_are_answered_with_the_nearest(tmp_path: Path) -> None:
    write_pipeline(tmp_path, NOBODY)
    _assert_says(tmp_path, 2, ["captionning", "captioning"], "run", "captionning")
    _assert_says(tmp_path, 2, ["pydicom-image", "pydicom-images"], "run", "captioning", "-s", "pydicom-image")
    _assert_says(tmp_path, 2, ["Respratory", "Respiratory"], "run", "captioning", "-t", "Respratory")
    _assert_says(tmp_path, 2, ["endpont", "endpoint"], "run", "captioning", "--teacher", "endpont")
    _assert_says(tmp_path, 2, ["which flows?", "--all"], "run")


def test_a_teacher_that_is_down_stops_the_run_with_its_address(tmp_path: Path) -> None:
    port = _free_port()
    write_pipeline(tmp_path, f"http://127.0.0.1:{port}/v1")
    _assert_says(tmp_path, 4, ["endpoint", str(port)], "run", "captioning", "--no-server")


def test_a_missing_key_variable_is_named_and_nothing_is_asked(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, NOBODY)
    path.write_text(path.read_text().replace("[teachers.endpoint]", '[teachers.endpoint]\napi_key_env = "NO_SUCH_KEY"'))
    os.environ.pop("NO_SUCH_KEY", None)
    _assert_says(tmp_path, 2, ["NO_SUCH_KEY", "export"], "config", "check")
    _assert_says(tmp_path, 2, ["NO_SUCH_KEY", "export"], "run", "captioning", "--no-server")


def _with_own_source(folder: Path, id_: str, terms: str, url: str = NOBODY) -> Path:
    """A pipeline whose captioning reads a source of its own, whose data is missing; where the data would be."""
    (folder / "mine").mkdir()
    entry = f'''id = "{id_}"
title = "Ours"
shape = "jsonl"
path = "nowhere"
pinned = "2026-01"
records = 3
citation = "Nobody, 2026"
columns = {{ file = "rows.jsonl", caption = "text" }}
{terms}
'''
    (folder / "mine" / "own.toml").write_text(entry)
    path = write_pipeline(folder, url)
    text = path.read_text().replace('corpus = "corpus"', 'corpus = "corpus"\ncatalog = "mine"')
    path.write_text(text.replace('sources = ["pydicom-images", "skimage-photos"]', f'sources = ["{id_}"]', 1))
    return folder / "mine" / "nowhere"


def test_a_missing_source_file_is_named(tmp_path: Path) -> None:
    terms = 'access = "open"\negress = "any"\nlicense = { name = "CC0-1.0", commercial = true, derivatives = true }'
    data = _with_own_source(tmp_path, "my-notes", terms)
    _assert_says(tmp_path, 3, ["my-notes", str(data), "path"], "run", "captioning", "--no-server")
    data.mkdir()
    _assert_says(tmp_path, 3, ["my-notes", "rows.jsonl"], "run", "captioning", "--no-server")


def test_a_credentialed_source_is_refused_a_remote_teacher_before_anything_is_read(tmp_path: Path) -> None:
    terms = 'access = "credentialed"\negress = "local_only"\nlicense = { name = "PhysioNet-1.5.0", derivatives = true }'
    _with_own_source(tmp_path, "secret-reports", terms, "https://teacher.example/v1")
    path = tmp_path / "pipeline.toml"
    path.write_text(path.read_text().replace('locality = "loopback"', 'locality = "remote"'))
    _assert_says(tmp_path, 6, ["secret-reports", "remote"], "run", "captioning", "--no-server")


def test_a_budget_stops_the_whole_run_and_not_each_flow(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log") as url:
        path = write_pipeline(tmp_path, url, samples=2, records_per_task=1)
        priced = "[teachers.endpoint]\nprice = { input = 1_000_000, output = 1_000_000 }"
        path.write_text(path.read_text().replace("[teachers.endpoint]", priced))
        calabash("run", "captioning", "--no-server", "-c", str(path), check=True)
        num_free = len((tmp_path / "endpoint.log").read_text().split())
        path.write_text(path.read_text() + "\n[budget]\nusd = 20_000\n")
        stopped = calabash("run", "--all", "--no-server", "-c", str(path))
        num_paid = len((tmp_path / "endpoint.log").read_text().split()) - num_free
    assert stopped.returncode == 4
    assert "budget" in stopped.stderr and "raise usd" in stopped.stderr
    # some requests fit, and nothing of the flows after the one that stopped was asked
    assert 1 <= num_paid <= 20


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs /proc")
def test_a_corpus_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, NOBODY)
    path.write_text(path.read_text().replace('corpus = "corpus"', 'corpus = "/proc/calabash"'))
    done = calabash("run", "captioning", "--no-server", "-c", str(path))
    assert done.returncode == 5
    assert done.stderr.startswith("error: ")
    assert "/proc/calabash" in done.stderr


def test_plan_and_dry_run_call_no_teacher_and_write_nothing(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, NOBODY)
    planned = json.loads(said("plan", "--json", "-c", str(path)))
    assert planned[0]["flow"] == "captioning"
    assert all(flow["num_records"] > 0 and flow["num_requests"] > 0 for flow in planned)
    dry = json.loads(said("run", "--all", "--dry-run", "--json", "-c", str(path)))
    assert dry == planned
    assert not (tmp_path / "corpus").exists()


def test_help_names_every_command() -> None:
    shown = calabash("--help", check=True).stdout
    for command in ("run", "plan", "preview", "status", "stats", "show", "reproduce", "verify", "config"):
        assert command in shown


@pytest.mark.parametrize("option", ["--html", "--mute=role"])
def test_a_teacher_that_answers_nonsense_makes_no_row(tmp_path: Path, option: str) -> None:
    with serve(tmp_path / "endpoint.log", option) as url:
        write_pipeline(tmp_path, url)
        _assert_says(tmp_path, 4, ["endpoint", "answer"], "run", "captioning", "--no-server")


def test_a_key_reaches_the_teacher_and_nothing_else(tmp_path: Path) -> None:
    key = "sk-very-secret-0123456789"
    with serve(tmp_path / "endpoint.log", f"--key={key}") as url:
        path = write_pipeline(tmp_path, url, samples=2)
        path.write_text(
            path.read_text().replace("[teachers.endpoint]", '[teachers.endpoint]\napi_key_env = "A_TEACHERS_KEY"')
        )
        good = calabash("run", "captioning", "--no-server", "-c", str(path), A_TEACHERS_KEY=key, check=True)
        bad = calabash("run", "synthetic-qa", "--no-server", "-c", str(path), A_TEACHERS_KEY="sk-very-wrong-9876543210")
    assert bad.returncode == 4
    assert "Traceback" not in bad.stderr
    written = b"".join(file.read_bytes() for file in (tmp_path / "corpus").rglob("*") if file.is_file())
    for secret in (key, "sk-very-wrong-9876543210"):
        assert secret not in good.stdout + good.stderr + bad.stdout + bad.stderr
        assert secret.encode() not in written
    assert written


def test_another_teacher_is_one_option_away(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log") as url:
        other = (
            f'\n[teachers.other]\nbase_url = "{url}"\nmodel = "other-model"\nlocality = "loopback"\nlicense = "MIT"\n'
        )
        path = write_pipeline(tmp_path, NOBODY, samples=2, more=other)
        calabash("run", "captioning", "--no-server", "--teacher", "other", "-c", str(path), check=True)
    rows = list(corpus.open(tmp_path / "corpus"))
    assert {ask["model"] for row in rows for ask in row["asks"]} == {"other-model"}


def test_ctrl_c_says_that_nothing_is_lost(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log", "--latency-ms=60000") as url:
        path = write_pipeline(tmp_path, url)
        run = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "run", "captioning", "--no-server", "-c", str(path)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            # a shell starts background jobs, and so their children, with SIGINT ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("corpus/staging/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 130
    assert "the next run goes on from there" in said
    assert "Traceback" not in said
    assert list(tmp_path.glob("corpus/staging/*")) == []
