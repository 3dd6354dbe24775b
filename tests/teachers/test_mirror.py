"""What reached the mirror survives the machine, and a mirror that is away stops nobody."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import ConfigError
from teachers.replay import mirror as mirrors
from teachers.replay.collecting import Rules, collect
from teachers.replay.log import ReplyLog
from teachers.replay.mirror import Mirror
from teachers.replay.names import folder_of
from tests.support.keeping import key_of, put
from tests.support.object_store import s3_server

ROOT = Path(__file__).resolve().parents[2]
FAR = 3_600.0


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def lose_a_machine(root: Path, url: str, segment_bytes: int, num: int) -> tuple[list[str], int]:
    """Keep `num` replies, kill the process, delete its disk; what the next machine finds, and the bytes it lacks."""
    command = [sys.executable, "-m", "tests.support.keeping", str(root), url, str(segment_bytes), str(num)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "sealed\n"
        finally:
            process.kill()
    (path,) = folder_of(root, "s", "0").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == num
    shutil.rmtree(root)
    with Mirror(url, segment_bytes, FAR) as mirror, ReplyLog(root, "s", "0", mirror) as log:
        found = [f"question {index}" for index in range(num) if log.get(key_of(f"question {index}"))]
        assert log.num_broken == 0
    return found, sum(len(line) for line in lines[len(found) :])


def test_a_lost_machine_costs_less_than_one_segment(tmp_path: Path) -> None:
    found, num_lost_bytes = lose_a_machine(tmp_path / "corpus", f"file://{tmp_path}/mirror", 10_000, 200)
    assert found == [f"question {index}" for index in range(len(found))]
    assert 0 < num_lost_bytes < 10_000
    assert len(list((tmp_path / "mirror").glob("s/0/*/*.jsonl"))) >= 10


@pytest.mark.slow
def test_a_real_s3_server_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(tmp_path / "s3", monkeypatch) as bucket:
        found, num_lost_bytes = lose_a_machine(tmp_path / "corpus", f"{bucket}/some/prefix", 10_000, 200)
    assert found == [f"question {index}" for index in range(len(found))]
    assert 0 < num_lost_bytes < 10_000


def test_an_old_line_is_sealed_however_small_the_segment(tmp_path: Path) -> None:
    with Mirror(f"file://{tmp_path}/mirror", segment_s=0.05) as mirror, ReplyLog(tmp_path, "s", "0", mirror) as log:
        put(log, "a")
        until(lambda: mirror.num_segments == 1)
        put(log, "b")
        until(lambda: mirror.num_segments == 2)
    assert len(list((tmp_path / "mirror").glob("s/0/*/*.jsonl"))) == 2


def test_names_that_mean_something_to_a_store_come_back(tmp_path: Path) -> None:
    names = ("a/b.c%2E é", "0/../ #?")
    url = f"file://{tmp_path}/mirror"
    with Mirror(url) as mirror, ReplyLog(tmp_path / "one", *names, mirror) as log:
        put(log, "a")
    with Mirror(url) as mirror, ReplyLog(tmp_path / "two", *names, mirror) as log:
        assert log.get(key_of("a")) is not None


def test_closing_sends_what_is_left_and_nothing_is_sent_or_fetched_twice(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/mirror"
    for text in ("a", "b"):
        with Mirror(url, segment_s=FAR) as mirror:
            with ReplyLog(tmp_path, "s", "0", mirror) as log:
                put(log, text)
                log.compact()
            until(lambda mirror=mirror: mirror.num_unsent_bytes == 0)
            assert mirror.num_segments == 1
    assert [path.suffix for path in sorted(folder_of(tmp_path, "s", "0").iterdir())] == [".arrow", ".arrow"]
    assert len(list((tmp_path / "mirror").glob("s/0/*/*.jsonl"))) == 2


def test_a_mirror_that_is_away_is_told_and_caught_up_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "LONGEST_PAUSE_S", 0.01)
    away, url = tmp_path / "mirror", f"file://{tmp_path}/mirror"
    with Mirror(url, segment_s=0.02) as mirror:
        shutil.rmtree(away)
        away.write_text("a file where the store should be")
        with ReplyLog(tmp_path, "s", "0", mirror) as log:
            put(log, "a")
            until(lambda: mirror.num_failures >= 3)
            put(log, "b")
            log.compact()
            assert log.get(key_of("a")) and log.get(key_of("b"))
        assert "kept replies are on this disk only" in mirror.warning()
        assert mirror.num_unsent_bytes > 0
    assert sorted(path.suffix for path in folder_of(tmp_path, "s", "0").iterdir()) == [".arrow", ".unsent"]
    away.unlink()
    with Mirror(url, segment_s=FAR) as mirror:
        with ReplyLog(tmp_path, "s", "0", mirror):
            until(lambda: mirror.num_segments > 0 and mirror.num_unsent_bytes == 0)
        assert mirror.warning() == ""
    assert [path.suffix for path in folder_of(tmp_path, "s", "0").iterdir()] == [".arrow"]
    with Mirror(url) as mirror, ReplyLog(tmp_path / "other", "s", "0", mirror) as log:
        assert log.get(key_of("a")) and log.get(key_of("b"))


def test_what_a_killed_process_had_not_sent_is_sent_by_the_next_without_its_torn_tail(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        put(log, "a")
        put(log, "b")
    (path,) = folder_of(tmp_path, "s", "0").iterdir()
    with path.open("ab") as file:
        file.write(b'{"key":"torn')
    url = f"file://{tmp_path}/mirror"
    with Mirror(url, segment_s=FAR) as mirror, ReplyLog(tmp_path, "s", "0", mirror):
        until(lambda: mirror.num_segments == 1)
    with Mirror(url) as mirror, ReplyLog(tmp_path / "other", "s", "0", mirror) as log:
        assert (len(log), log.num_broken) == (2, 0)


def test_a_living_process_sends_its_own_file_and_nobody_else_does(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/mirror"
    with ReplyLog(tmp_path, "s", "0") as living:
        put(living, "a")
        with Mirror(url, segment_s=FAR) as mirror, ReplyLog(tmp_path, "s", "0", mirror) as log:
            assert log.get(key_of("a"))
        assert mirror.num_segments == 0


def test_what_was_collected_away_is_not_fetched_again(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/mirror"
    with Mirror(url) as mirror, ReplyLog(tmp_path, "s", "0", mirror) as log:
        put(log, "a", who=("gone", "1"))
        put(log, "b", who=("stays", "1"))
    rules = Rules(named=frozenset({("stays", "1")}), has_mirror=True, safe_age_s=0)
    (done,) = collect(tmp_path, rules)
    assert (done.num_kept, done.num_unnamed) == (1, 1)
    with Mirror(url) as mirror, ReplyLog(tmp_path, "s", "0", mirror) as log:
        assert list(log) == [key_of("b")]


@pytest.mark.parametrize("url", ["bogus://x", "no url at all", "s3://"])
def test_a_wrong_mirror_is_a_clear_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[replies\]: mirror = "):
        Mirror(url)
