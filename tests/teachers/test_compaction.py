"""Compacted replies are the replies that were kept, whatever happens on the way."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from schemas.ask import Reply
from schemas.errors import CorpusError
from teachers.replay import compaction, table
from teachers.replay.blocks import BLOCK_RECORDS, Replies
from teachers.replay.collecting import Rules, collect
from teachers.replay.index import Index
from teachers.replay.line import Kept, decode
from teachers.replay.log import ReplyLog
from teachers.replay.names import folder_of
from teachers.replay.table import Table, write_table
from tests.support.keeping import fill, key_of, put

ROOT = Path(__file__).resolve().parents[2]


def compacted(root: Path, num: int) -> list[str]:
    with ReplyLog(root, "s", "0") as log:
        keys = [put(log, f"question {index}") for index in range(num)]
        log.compact()
    return keys


def files(root: Path) -> list[Path]:
    return sorted(folder_of(root, "s", "0").iterdir())


def test_compacted_replies_answer_as_before_in_the_log_that_wrote_them_and_in_the_next(tmp_path: Path) -> None:
    texts = [f"é中 question {index}" for index in range(300)]
    with ReplyLog(tmp_path, "s", "0") as log:
        keys = [put(log, text) for text in texts]
        before = [log.get(key) for key in keys]
        log.compact()
        assert [log.get(key) for key in keys] == before
    with ReplyLog(tmp_path, "s", "0") as log:
        assert [log.get(key) for key in reversed(keys)] == list(reversed(before))
        assert (len(log), log.num_broken) == (300, 0)
    assert [path.suffix for path in files(tmp_path)] == [".arrow"]


def test_every_field_of_a_line_survives_compaction(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    lines = [decode(line) for line in files(tmp_path)[0].read_bytes().splitlines(keepends=True)]
    write_table(tmp_path / "t.arrow", [line for line in lines if line], [])
    with closing(Table(tmp_path / "t.arrow")) as opened:
        assert list(opened.rows()) == lines
    plain = pa.ipc.open_file(str(tmp_path / "t.arrow")).read_all().to_pylist()
    assert [Kept(*(row[name] for name in Kept._fields)) for row in plain] == lines


def test_a_log_goes_on_after_compaction_and_can_be_compacted_again(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        for part in ("a", "b"):
            put(log, part)
            log.compact()
        log.compact()
        put(log, "c")
        assert all(log.get(key_of(text)) for text in "abc")
    assert [path.suffix for path in files(tmp_path)] == [".arrow", ".arrow", ".jsonl"]


def test_a_table_costs_a_fraction_of_the_lines(tmp_path: Path) -> None:
    fill(tmp_path, 500)
    size = files(tmp_path)[0].stat().st_size
    shutil.rmtree(tmp_path / "replies")
    compacted(tmp_path, 500)
    assert files(tmp_path)[0].stat().st_size < size / 4


def test_one_get_inflates_a_bounded_batch(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        for index in range(100):
            put(log, str(index), "word " * 4_000)
        log.compact()
    reader = pa.ipc.open_file(str(files(tmp_path)[0]))
    sizes = [reader.get_batch(index).nbytes for index in range(reader.num_record_batches)]
    assert len(sizes) > 5 and max(sizes) < 1 << 20


def test_a_block_compacts_what_each_of_its_logs_wrote(tmp_path: Path) -> None:
    with Replies(tmp_path, "s", "0") as replies:
        replies.prepare(0, BLOCK_RECORDS + 1)
        keys = [put(replies.of(position), str(position)) for position in (0, BLOCK_RECORDS)]
        replies.compact()
    with Replies(tmp_path, "s", "0") as replies:
        assert replies.of(0).get(keys[0]) and replies.of(BLOCK_RECORDS).get(keys[1])
    assert len(list(tmp_path.glob("replies/s/*/*.arrow"))) == 2
    assert list(tmp_path.glob("replies/s/*/*.jsonl")) == []


def test_a_crash_between_table_and_lines_leaves_replies_that_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "retire", lambda path, mirror: None)
    keys = compacted(tmp_path, 3)
    assert [path.suffix for path in files(tmp_path)] == [".arrow", ".jsonl"]
    with ReplyLog(tmp_path, "s", "0") as log:
        assert (sorted(log), log.num_broken) == (sorted(keys), 0)


def test_a_disk_that_refuses_the_table_leaves_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with ReplyLog(tmp_path, "s", "0") as log:
        key = put(log, "a")
        with monkeypatch.context() as full:
            full.setattr(table, "make_durable", refuse)
            with pytest.raises(CorpusError, match="No space left"):
                log.compact()
        assert log.get(key) is not None
        assert [path.suffix for path in files(tmp_path)] == [".jsonl"]
        log.compact()
        assert [path.suffix for path in files(tmp_path)] == [".arrow"]


def test_another_process_goes_on_when_the_lines_it_knows_are_compacted(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as writing:
        keys = [put(writing, str(index)) for index in range(4)]
        with ReplyLog(tmp_path, "s", "0") as opened, ReplyLog(tmp_path, "s", "0") as unopened:
            assert opened.get(keys[0]) is not None
            writing.compact()
            assert [reading.get(key) is not None for reading in (opened, unopened) for key in keys] == [True] * 8


def test_a_damaged_row_is_asked_again_and_its_new_reply_answers_from_then_on(tmp_path: Path) -> None:
    keys = compacted(tmp_path, 3)
    (path,) = files(tmp_path)
    with closing(Table(path)) as opened:
        rows = [row for row in opened.rows() if row is not None]
    broken = rows[1]._replace(content="altered")
    write = Kept.crc32
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Kept, "crc32", lambda self: write(rows[1]) if self == broken else write(self))
        write_table(path, [rows[0], broken, rows[2]], [])
    with ReplyLog(tmp_path, "s", "0") as log:
        assert [log.get(key) is not None for key in keys] == [True, False, True]
        assert log.num_broken == 1
        put(log, "question 1", "the second answer")
        assert log.get(keys[1]) is not None
    with ReplyLog(tmp_path, "s", "0") as log:
        kept = log.get(keys[1])
        assert kept is not None and kept.content == "the second answer"


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_table_cut_short_is_counted_and_stops_nobody(tmp_path: Path, size: int) -> None:
    keys = compacted(tmp_path, 3)
    (path,) = files(tmp_path)
    os.truncate(path, size)
    with ReplyLog(tmp_path, "s", "0") as log:
        assert (log.get(keys[0]), log.num_broken, len(log)) == (None, 1, 0)
        put(log, "question 0")
        assert log.get(keys[0]) is not None


@pytest.mark.parametrize("num_kept", [12, 40, 61])
def test_kill_nine_in_the_midst_of_compactions_loses_nothing(tmp_path: Path, num_kept: int) -> None:
    command = [sys.executable, "-m", "tests.support.keeping", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        keys = [process.stdout.readline().strip() for _ in range(num_kept)]
        process.kill()
        keys += process.stdout.read().split()
    with ReplyLog(tmp_path, "s", "0") as log:
        assert len(keys) >= num_kept
        assert [log.get(key) is not None for key in keys] == [True] * len(keys)
        assert log.num_broken == 0


class Interleavings(RuleBasedStateMachine):
    """Two logs on one block put, get, compact, reopen, tear and collect in any order: nothing is lost or altered."""

    @initialize()
    def open(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.logs = [ReplyLog(self.root, "s", "0") for _ in range(2)]
        self.answers: dict[str, set[str]] = {}

    @rule(who=st.integers(0, 1), number=st.integers(0, 12))
    def ask(self, who: int, number: int) -> None:
        self.logs[who].refresh()
        key, log = key_of(str(number)), self.logs[who]
        if log.get(key) is None:
            answer = f"{number}: answer {len(self.answers.get(key, ()))}"
            put(log, str(number), answer)
            self.answers.setdefault(key, set()).add(answer)
        self.check(log, key)

    @rule(who=st.integers(0, 1))
    def compact(self, who: int) -> None:
        self.logs[who].compact()

    @rule(who=st.integers(0, 1), tail=st.binary(max_size=40))
    def reopen_with_a_torn_tail(self, who: int, tail: bytes) -> None:
        written = list(self.logs[who]._writer.written)
        self.logs[who].close()
        for path in written[-1:]:
            with path.open("ab") as file:
                file.write(tail.replace(b"\n", b""))
        self.logs[who] = ReplyLog(self.root, "s", "0")
        self.check_all(self.logs[who])

    @rule(who=st.integers(0, 1))
    def compact_and_crash_before_the_lines_go(self, who: int) -> None:
        with pytest.MonkeyPatch.context() as crashing:
            crashing.setattr(compaction, "retire", lambda path, mirror: None)
            self.logs[who].compact()
        self.logs[who].close()
        self.logs[who] = ReplyLog(self.root, "s", "0")
        self.check_all(self.logs[who])

    @rule()
    def collect(self) -> None:
        list(collect(self.root, Rules(safe_age_s=0)))

    @rule(who=st.integers(0, 1))
    def look_again(self, who: int) -> None:
        self.logs[who]._index._next_look = 0
        self.logs[who].refresh()
        self.check_all(self.logs[who])

    def check_all(self, log: ReplyLog) -> None:
        assert set(log) == set(self.answers)
        for key in self.answers:
            self.check(log, key)

    def check(self, log: ReplyLog, key: str) -> None:
        kept = log.get(key)
        assert kept is not None and kept.content in self.answers[key]
        expected = Reply(kept.content, "stop", "", "", "t", "m", "1", key, 3, 4, replayed=True)
        assert kept == expected

    def teardown(self) -> None:
        if hasattr(self, "logs"):
            for log in self.logs:
                log.close()
            with ReplyLog(self.root, "s", "0") as log:
                self.check_all(log)
            first = {key: Index(folder_of(self.root, "s", "0")).get(key) for key in self.answers}
            list(collect(self.root, Rules(safe_age_s=0)))
            after = Index(folder_of(self.root, "s", "0"))
            assert {key: after.get(key) for key in self.answers} == first
            shutil.rmtree(self.root)


Interleavings.TestCase.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
test_any_interleaving_keeps_every_reply = Interleavings.TestCase
