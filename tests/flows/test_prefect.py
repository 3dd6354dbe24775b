"""Flows through Prefect: with a server of the run's own, with one that was started before, and with no network."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.prefect_env import SETTINGS
from tests.support.pipelines import FLOWS, ROOT, calabash, environment, write_pipeline
from tests.support.prefect_server import PrefectServer, free_port, prefect_server, processes_of, rows
from tests.support.serving import serve

pytestmark = pytest.mark.timeout(600)

SECRET = "sk-never-to-be-stored"
CHOSEN = ("captioning", "synthetic-qa")

# Runs the endpoint and the command line in a network of their own that has nothing but loopback, and tells
# how many packets had nowhere to go before and after one that is sent on purpose.
ISOLATED = """
set -eu
ip link set lo up
no_route() { awk '/^Ip: [0-9]/ { sum += $13 } /^Udp: [0-9]/ { sum += $5 } END { print sum }' /proc/self/net/snmp; }
"$PYTHON" -m tests.support.endpoint --port 0 --log "$FOLDER/endpoint.log" --key "$TEACHER_KEY" > "$FOLDER/url" &
trap "kill $!" EXIT
while [ ! -s "$FOLDER/url" ]; do sleep 0.1; done
sed -i "s#http://nowhere/v1#$(cat "$FOLDER/url")#" "$FOLDER/pipeline.toml"
"$PYTHON" -m flows.cli run captioning synthetic-qa -c "$FOLDER/pipeline.toml"
no_route > "$FOLDER/attempts"
"$PYTHON" -c "import socket; socket.socket().connect_ex(('192.0.2.1', 443))"
no_route >> "$FOLDER/attempts"
"""


@dataclass
class Ran:
    """One run of two flows through Prefect, with no server started and, where possible, no network."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    isolated: bool

    @property
    def home(self) -> Path:
        return self.folder / "prefect"

    def rows(self, query: str) -> list[dict[str, Any]]:
        return rows(self.home, query)


def _can_isolate() -> bool:
    try:
        return subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0
    except OSError:
        return False


def _pipeline(folder: Path, url: str) -> Path:
    path = write_pipeline(folder, url, samples=2, records_per_task=1)
    path.write_text(path.read_text().replace("[teachers.endpoint]", '[teachers.endpoint]\napi_key_env = "TEACHER_KEY"'))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """`prefect server start`: it starts beside the run that `ran` makes, and is waited for when it is needed."""
    with prefect_server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, server: PrefectServer) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("ran")
    variables = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "TEACHER_KEY": SECRET,
    }
    if not _can_isolate():
        with serve(folder / "endpoint.log", "--key", SECRET) as url:
            config = _pipeline(folder, url)
            yield Ran(folder, calabash("run", *CHOSEN, "-c", str(config), **variables), isolated=False)
        return
    _pipeline(folder, "http://nowhere/v1")
    variables |= {"PYTHON": sys.executable, "FOLDER": str(folder)}
    command = ["unshare", "-n", "bash", "-c", ISOLATED]
    done = subprocess.run(command, cwd=ROOT, env=environment(**variables), capture_output=True, text=True, timeout=300)
    yield Ran(folder, done, isolated=True)


def test_without_a_server_each_flow_is_a_completed_run_with_one_task_run_per_task(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    runs = ran.rows(
        "select flow.name as flow, flow_run.name as name, state_type, flow_run.id as id "
        "from flow_run join flow on flow.id = flow_id order by flow_run.created"
    )
    assert [(run["flow"], run["name"], run["state_type"]) for run in runs] == [
        (flow, flow, "COMPLETED") for flow in CHOSEN
    ]
    for run in runs:
        tasks = ran.rows(f"select name, state_type from task_run where flow_run_id = '{run['id']}'")
        assert sorted(task["name"] for task in tasks) == sorted(
            f"{run['flow']} {source} items [{start}:{start + 1}]"
            for source in ("pydicom-images", "skimage-photos")
            for start in range(2)
        )
        assert {task["state_type"] for task in tasks} == {"COMPLETED"}


def test_the_table_is_an_artifact_of_every_flow(ran: Ran) -> None:
    stats = json.loads(calabash("stats", "--json", "-c", str(ran.folder / "pipeline.toml"), check=True).stdout)
    artifacts = {row["key"]: row for row in ran.rows("select key, type, data from artifact where key is not null")}
    assert set(artifacts) == {f"{flow}-table" for flow in CHOSEN}
    for total in stats["totals"]:
        artifact = artifacts[f"{total['flow']}-table"]
        assert artifact["type"] == "markdown"
        lines = [line.strip("| ").split(" | ") for line in json.loads(artifact["data"]).splitlines() if " | " in line]
        head, cells = lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
        assert head[:2] == ["organ system", "modality"]
        assert json.loads(artifact["data"]).startswith(f"# {total['flow']}\n\n4 of 4 tasks were made")
        assert sum(int(cell["kept"]) for cell in cells) == total["num_kept"] > 0
        assert sum(int(cell["in"]) for cell in cells) == total["num_in"] == 4


def test_parameters_are_stored_as_plain_json_and_no_key_is_stored_anywhere(ran: Ran) -> None:
    for row in ran.rows("select parameters from flow_run"):
        assert json.loads(row["parameters"])["params"] == {
            "config": str(ran.folder / "pipeline.toml"),
            "limit": None,
            "sources": [],
            "tags": [],
            "teacher": None,
            "parallel_tasks": 2,
            "snapshot": False,
        }
    written = [path for path in ran.folder.rglob("*") if path.is_file()]
    assert ran.home / "prefect.db" in written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_progress_is_shown_and_prefect_itself_says_nothing(ran: Ran) -> None:
    for flow in CHOSEN:
        # what is shown comes from the flows' own body: four records settled, and the asks counted
        assert re.search(rf"^{flow} +\S+ 4/4 kept \d+ +asked [1-9]", ran.done.stdout, re.MULTILINE), ran.done.stdout
    assert ran.done.stderr == ""
    assert "prefect" not in ran.done.stdout.lower()


def test_the_server_of_a_run_ends_with_it(ran: Ran) -> None:
    assert processes_of(f"PREFECT_HOME={ran.home}") == []


def test_nothing_is_sent_to_anyone(ran: Ran) -> None:
    assert SETTINGS["DO_NOT_TRACK"] == "1"
    assert SETTINGS["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    if not ran.isolated:
        pytest.skip("a network of its own needs root, unshare and ip: that the run needs none was not tried")
    assert ran.done.returncode == 0, ran.done.stderr
    attempts, with_one_on_purpose = map(int, (ran.folder / "attempts").read_text().split())
    assert (attempts, with_one_on_purpose > attempts) == (0, True)


def test_a_repeated_run_has_nothing_to_do_and_does_not_import_prefect(ran: Ran) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = ("run", *CHOSEN, "-c", str(ran.folder / "pipeline.toml"))
    done = calabash(*arguments, PREFECT_HOME=str(ran.home), PYTHONPROFILEIMPORTTIME="1", check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.startswith("Nothing to do")
    assert re.search(r"\| +flows\.plan$", done.stderr, re.MULTILINE)
    assert not re.search(r"\| +prefect\b", done.stderr, re.MULTILINE)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


def test_a_run_shows_on_the_server_of_prefect_api_url(ran: Ran, server: PrefectServer, tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log", "--key", SECRET) as url:
        config = str(_pipeline(tmp_path, url))
        variables = {"PREFECT_HOME": str(tmp_path / "prefect"), "TEACHER_KEY": SECRET}
        calabash("run", *CHOSEN, "-c", config, PREFECT_API_URL=server.wait().url, check=True, **variables)
    runs = server.flow_runs(config)
    assert [(run["name"], run["state_type"]) for run in runs] == [(flow, "COMPLETED") for flow in CHOSEN]
    for run in runs:
        tasks = server.ended_task_runs(run, num=4)
        assert len({task["name"] for task in tasks}) == len(tasks) == 4
        assert {task["state_type"] for task in tasks} == {"COMPLETED"}
        tables = server.post("artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
        assert [table["key"] for table in tables] == [f"{run['name']}-table"]
    # no second server was started beside it
    assert not (tmp_path / "prefect" / "prefect.db").exists()


def test_a_failing_flow_ends_in_one_message_and_is_failed_on_the_server(server: PrefectServer, tmp_path: Path) -> None:
    port = free_port()
    path = _pipeline(tmp_path, f"http://127.0.0.1:{port}/v1")
    path.write_text(path.read_text().replace("max_retries = 2", "max_retries = 0"))
    config = str(path)
    variables = {"PREFECT_API_URL": server.wait().url, "PREFECT_HOME": str(tmp_path / "prefect"), "TEACHER_KEY": SECRET}
    done = calabash("run", *CHOSEN, "-c", config, **variables)
    assert done.returncode == 4
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "endpoint" in done.stderr and str(port) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    runs = server.flow_runs(config)
    assert [(run["name"], run["state_type"]) for run in runs] == [("captioning", "FAILED")]
    assert str(port) in runs[0]["state"]["message"]
    # two tasks were under way: the first to fail stopped the others
    states = {task["state_type"] for task in server.ended_task_runs(runs[0], num=2)}
    assert "FAILED" in states
    assert states <= {"FAILED", "CRASHED", "CANCELLED"}
    written = [path for path in (tmp_path / "corpus").rglob("*") if path.suffix in (".json", ".arrow")]
    assert [path.parent.name for path in written] == ["runs"]  # what the run says of itself, and no row


WRONG = """
import asyncio, importlib, sys
from flows import prefect_env
prefect_env.find_server()
from prefect.exceptions import ParameterTypeError
from pydantic import ValidationError
for name in sys.argv[2:]:
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    for wrong in ({"limit": 0}, {"limt": 3}, {"parallel_tasks": "many"}):
        try:
            asyncio.run(flow({"config": sys.argv[1], **wrong}))
        except (ParameterTypeError, ValidationError) as error:
            print(name, *wrong, next(iter(wrong)) in str(error))
"""


def test_wrong_parameters_are_refused_before_anything_runs(server: PrefectServer, tmp_path: Path) -> None:
    names = [flow.replace("-", "_") for flow in FLOWS]
    done = subprocess.run(
        [sys.executable, "-c", WRONG, str(tmp_path / "pipeline.toml"), *names],
        cwd=ROOT,
        env=environment(PREFECT_API_URL=server.wait().url, PREFECT_HOME=str(tmp_path / "prefect")),
        capture_output=True,
        text=True,
        timeout=120,
    )
    expected = [f"{name} {wrong} True" for name in names for wrong in ("limit", "limt", "parallel_tasks")]
    assert done.stdout.splitlines() == expected, done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"prefect"}
