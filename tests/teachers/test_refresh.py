"""Two processes on one block see each other's replies."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from teachers.replay import index
from teachers.replay.log import ReplyLog
from teachers.replay.names import folder_of
from tests.support.keeping import key_of, put

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "REFRESH_S", 0.0)


def test_a_reply_of_another_log_is_found_after_a_refresh_and_not_before(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as one, ReplyLog(tmp_path, "s", "0") as other:
        for text in ("a", "b"):
            key = put(one, text)
            assert other.get(key) is None
            assert other.refresh()
            assert other.get(key) == one.get(key) is not None
            assert not other.refresh()


def test_a_refresh_sees_compacted_replies_and_goes_on_with_ones_own(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as one, ReplyLog(tmp_path, "s", "0") as other:
        mine = put(other, "mine")
        key = put(one, "a")
        one.compact()
        assert other.refresh()
        assert other.get(key) and other.get(mine)
        assert (len(other), other.num_broken) == (2, 0)


def test_a_line_seen_half_written_is_found_when_it_is_whole(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as one:
        key = put(one, "a")
    (path,) = folder_of(tmp_path, "s", "0").iterdir()
    line = path.read_bytes()
    path.write_bytes(line[:100])
    with ReplyLog(tmp_path, "s", "0") as other:
        assert (other.get(key), other.num_broken) == (None, 1)
        with path.open("ab") as file:
            file.write(line[100:])
        assert other.refresh()
        assert (other.get(key) is not None, other.num_broken) == (True, 0)


def test_looks_are_rare_however_often_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "REFRESH_S", 3_600.0)
    with ReplyLog(tmp_path, "s", "0") as one, ReplyLog(tmp_path, "s", "0") as other:
        key = put(one, "a")
        assert not other.refresh()
        assert other.get(key) is None


def test_a_real_second_process_is_seen_while_it_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.keeping", str(tmp_path), f"file://{tmp_path}/mirror", "1000", "3"]
    with (
        ReplyLog(tmp_path, "s", "0") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None and process.stdout.readline() == "sealed\n"
            deadline = time.monotonic() + 10
            while log.get(key_of("question 2")) is None and time.monotonic() < deadline:
                log.refresh()
            assert len(log) == 3
        finally:
            process.kill()
