import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ConfigError, TeacherError
from schemas.pipeline import Teacher
from teachers.serving import command
from teachers.serving.served import Served, log_of
from tests.support import processes
from tests.support.pipelines import ROOT
from tests.support.processes import comes_true, gone

SMALL = f"{sys.executable} {ROOT}/tests/support/small_server.py --port {{port}}"

OTHERS: set[int] = set()
"""The processes that other tests have running."""


@pytest.fixture(autouse=True)
def _others() -> None:
    OTHERS.clear()
    OTHERS.update(processes.below())


def below() -> dict[int, str]:
    """What this test has started, with its command lines."""
    return {pid: words for pid, words in processes.below().items() if pid not in OTHERS}


def teacher(serve: str = SMALL, **changes: Any) -> Teacher:
    settings = {"model": "m", "locality": "loopback", "serve_timeout_s": 20.0, "serve": serve}
    return Teacher.model_validate({**settings, **changes})


def served(tmp_path: Path, serve: str = SMALL, **changes: Any) -> Served:
    pauses = changes.pop("restart_after_s", (0.0, 0.0, 0.0))
    withheld = changes.pop("withheld", ())
    config = teacher(serve, **changes)
    return Served("t", config, log_of(tmp_path, "t"), withheld=withheld, restart_after_s=pauses, grace_s=0.5)


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def is_up(url: str) -> bool:
    try:
        return "HOME" in read(f"{url}/environment")
    except OSError:
        return False


async def test_a_served_command_answers_and_is_stopped_with_everything_that_it_started(tmp_path: Path) -> None:
    server = served(tmp_path, f"{SMALL} --say 'model loaded' --children")
    url = await server.start()
    started = below()
    assert url.startswith("http://127.0.0.1:") and url.endswith("/v1")
    assert len(started) >= 5 and server.fault is None
    assert await asyncio.to_thread(is_up, url)
    log = log_of(tmp_path, "t").read_text()
    assert "model loaded" in log and str(ROOT) not in log.splitlines()[0].partition(" is started")[2]
    await server.stop()
    assert gone(started, within_s=1)
    await server.stop()


async def test_a_server_without_a_health_path_is_ready_when_it_lists_its_models(tmp_path: Path) -> None:
    server = served(tmp_path, f"{SMALL} --health 404")
    assert (await server.start()).endswith("/v1")
    await server.stop()


async def test_a_server_that_says_it_is_not_ready_is_waited_for_and_then_ended(tmp_path: Path) -> None:
    server = served(tmp_path, f"{SMALL} --health 503 --say 'loading the model'", serve_timeout_s=1.0)
    with pytest.raises(
        TeacherError, match=r"does not answer at http://127[^ ]* within serve_timeout_s = 1 s(?s:.*)loading"
    ):
        await server.start()
    assert not below()


async def test_a_command_that_ends_before_it_is_ready_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(TeacherError) as caught:
        await served(tmp_path, f"{SMALL} --say 'CUDA out of memory' --exit 3").start()
    assert "ended with exit code 3 before it was ready" in str(caught.value)
    assert "CUDA out of memory" in str(caught.value) and str(log_of(tmp_path, "t")) in str(caught.value)


async def test_a_key_that_a_server_prints_is_struck_out_of_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "sk-12345")
    with pytest.raises(TeacherError) as caught:
        await served(tmp_path, f"{SMALL} --say 'key sk-12345' --exit 1", api_key_env="OUR_KEY").start()
    assert "key ***" in str(caught.value) and "sk-12345" not in str(caught.value)


async def test_a_server_sees_the_environment_without_the_keys_of_other_teachers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OUR_KEY", "OTHER_KEY"):
        monkeypatch.setenv(name, "secret")
    server = served(tmp_path, api_key_env="OUR_KEY", withheld={"OTHER_KEY"})
    url = await server.start()
    seen = await asyncio.to_thread(read, f"{url}/environment")
    await server.stop()
    assert "OUR_KEY=secret" in seen and "DO_NOT_TRACK=1" in seen
    assert "OTHER_KEY" not in seen


async def test_a_crashed_server_is_started_again_at_the_same_place_without_what_was_left_of_it(tmp_path: Path) -> None:
    server = served(tmp_path, f"{SMALL} --children")
    url = await server.start()
    first = below()
    program = next(pid for pid, words in first.items() if "small_server" in words and "keeper" not in words)
    os.kill(program, signal.SIGKILL)
    await comes_true(lambda: server.num_restarts == 1)
    assert gone(first, within_s=0.5)
    await comes_true(lambda: is_up(url))
    assert server.fault is None
    await server.stop()
    assert "ended with exit code 137 (SIGKILL); it is started again" in log_of(tmp_path, "t").read_text()


async def test_a_server_that_crashes_again_and_again_is_given_up_with_one_clear_fault(tmp_path: Path) -> None:
    may_run = tmp_path / "may_run"
    may_run.touch()
    server = served(tmp_path, f"{SMALL} --say 'no such model' --exit-unless {may_run}", restart_after_s=(0.0, 0.0))
    await server.start()
    may_run.unlink()
    os.kill(next(pid for pid, words in below().items() if "keeper" not in words), signal.SIGTERM)
    await comes_true(lambda: server.fault is not None)
    assert server.fault is not None
    assert "ended with exit code 9 before it was ready; it is given up after 2 restarts" in server.fault
    assert "no such model" in server.fault
    assert server.num_restarts == 2
    await server.stop()
    assert server.fault is not None and not below()


async def test_a_server_that_hangs_when_it_is_restarted_is_given_up_too(tmp_path: Path) -> None:
    may_run = tmp_path / "may_run"
    may_run.touch()
    serve = f"{SMALL} --hang-unless {may_run}"
    server = served(tmp_path, serve, restart_after_s=(0.0,), serve_timeout_s=1.5)
    await server.start()
    may_run.unlink()
    os.kill(next(pid for pid, words in below().items() if "keeper" not in words), signal.SIGTERM)
    await comes_true(lambda: server.fault is not None)
    assert server.fault is not None and "does not answer at http" in server.fault
    await server.stop()


async def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder")
    with pytest.raises(TeacherError, match=r"cannot be started, or .*t\.log not be written: .*File exists"):
        await served(tmp_path).start()


async def test_stopping_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    server = served(tmp_path, f"{SMALL} --start-s 60")
    starting = asyncio.create_task(server.start())
    await comes_true(lambda: len(below()) == 2)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not below()


RUN = """
import asyncio, sys
from pathlib import Path
from schemas.pipeline import Teacher
from teachers.serving.served import Served
async def main():
    server = Served("t", Teacher(model="m", locality="loopback", serve=sys.argv[1]), Path(sys.argv[2]), grace_s=0.5)
    try:
        print(await server.start(), flush=True)
        if "error" in sys.argv: raise SystemExit(4)
        if "fork" in sys.argv:
            import os, time
            if os.fork() == 0:
                time.sleep(8)
                os._exit(0)
        if "return" not in sys.argv: await asyncio.sleep(600)
    finally:
        if "careless" not in sys.argv: await server.stop()
asyncio.run(main())
"""


def run(tmp_path: Path, *ways: str) -> tuple["subprocess.Popen[str]", list[int]]:
    """A run in a process of its own that serves; the process, and what it started."""
    arguments = [sys.executable, "-c", RUN, f"{SMALL} --children", str(tmp_path / "t.log"), *ways]
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a test in the background ignores it
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://")
    return process, list(processes.below(process.pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_run_is_killed_or_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    process, started = run(tmp_path)
    assert len(started) >= 5
    process.send_signal(number)
    process.communicate(timeout=30)
    assert gone(started)


def test_nothing_is_left_when_the_run_is_killed_and_a_forked_child_of_it_lives_on(tmp_path: Path) -> None:
    process, started = run(tmp_path, "fork")
    forked = [pid for pid, words in processes.below(process.pid).items() if "asyncio.run" in words]
    process.kill()
    process.wait()
    assert gone([pid for pid in started if pid not in forked])
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize(("way", "manner"), [("error", "careful"), ("return", "careless")])
def test_nothing_is_left_when_the_run_ends_by_itself(tmp_path: Path, way: str, manner: str) -> None:
    process, started = run(tmp_path, way, manner)
    process.communicate(timeout=30)
    assert gone(started)


def test_nothing_is_left_when_the_keeper_itself_is_killed(tmp_path: Path) -> None:
    process, started = run(tmp_path)
    keeper, program = started[:2]
    os.kill(keeper, signal.SIGKILL)
    assert gone([keeper, program])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    for pid in started[2:]:  # Linux gives the children of a killed keeper to nobody
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("serve", "changes", "words"),
    [
        ("no-such-server --port {port}", {}, r"serve starts 'no-such-server', and there is no such program on PATH"),
        ("'unclosed --port {port}", {}, r"cannot be split into words: No closing quotation"),
        ("  ", {}, r"serve is empty"),
        ("sleep 1", {}, r"serve has no \{port\}, so base_url must say where"),
        ("sleep 1", {"base_url": ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")}, r"one URL, not 2"),
        ("sleep {port}", {"base_url": "http://127.0.0.1:1/v1"}, r"serve has \{port\}.*remove base_url"),
    ],
)
def test_a_command_that_cannot_be_is_a_configuration_error(serve: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[teachers\.t\]: .*{words}"):
        command.command_and_url("t", teacher(serve, **changes))


def test_a_command_gets_its_port_and_no_shell() -> None:
    words, url = command.command_and_url("t", teacher("sleep '{port};$HOME' --json '{\"a\": 1}'"))
    port = url.removeprefix("http://127.0.0.1:").removesuffix("/v1")
    assert Path(words[0]).name == "sleep" and words[1:] == [f"{port};$HOME", "--json", '{"a": 1}']


def test_a_program_beside_our_python_is_found_without_an_activated_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    words, _ = command.command_and_url("t", teacher(f"{Path(sys.executable).name} {{port}}"))
    assert Path(words[0]).parent == Path(sys.executable).parent


async def test_a_command_without_a_port_is_served_where_base_url_says(tmp_path: Path) -> None:
    _, url = command.command_and_url("t", teacher())
    port = url.rpartition(":")[2].partition("/")[0]
    server = served(tmp_path, SMALL.replace("{port}", port), base_url=url)
    assert await server.start() == url
    with pytest.raises(TeacherError, match=rf"something listens at {url} already"):
        await served(tmp_path, SMALL.replace("{port}", port), base_url=url).start()
    await server.stop()


def test_the_log_of_any_teacher_is_one_file_below_logs(tmp_path: Path) -> None:
    assert log_of(tmp_path, "../my teacher") == tmp_path / "logs" / "..%2Fmy teacher.log"
