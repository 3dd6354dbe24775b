"""`calabash replies stats|gc` below the command line: what is counted, merged, dropped and left alone."""

import os
import shutil
import time
from pathlib import Path

import pytest

from schemas.errors import CorpusError
from teachers.replay import writer
from teachers.replay.collecting import Collected, Rules, collect
from teachers.replay.log import ReplyLog
from teachers.replay.names import folder_of
from teachers.replay.stock import Group, take_stock
from tests.support.keeping import fill, key_of, put

NOW = Rules(safe_age_s=0)


def files(root: Path) -> list[Path]:
    return sorted(folder_of(root, "s", "0").iterdir())


def collected(root: Path, rules: Rules = NOW) -> Collected:
    (done,) = collect(root, rules)
    return done


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files(root)}


def messy(root: Path) -> list[str]:
    """A table, two files of lines with the same replies in other words, and a broken line."""
    with ReplyLog(root, "s", "0") as log:
        keys = [put(log, f"question {index}") for index in range(3)]
        log.compact()
    saved = root / "saved"
    folder_of(root, "s", "0").rename(saved)
    fill(root, 5, answer="later")
    with files(root)[0].open("ab") as file:
        file.write(b"torn")
    for path in saved.iterdir():
        path.rename(folder_of(root, "s", "0") / path.name)
    return [*keys, *(key_of(f"question {index}") for index in (3, 4))]


def test_a_block_becomes_one_table_in_which_the_first_reply_counts(tmp_path: Path) -> None:
    keys = messy(tmp_path)
    done = collected(tmp_path)
    assert (done.num_kept, done.num_duplicates, done.num_broken, done.num_files) == (5, 3, 1, 2)
    assert [path.suffix for path in files(tmp_path)] == [".arrow"]
    assert 0 < done.bytes_after < done.bytes_before
    with ReplyLog(tmp_path, "s", "0") as log:
        replies = [log.get(key) for key in keys]
    assert [reply.content for reply in replies if reply] == [
        *(f"answer to question {index}" for index in range(3)),
        "later",
        "later",
    ]


def test_collecting_twice_changes_nothing(tmp_path: Path) -> None:
    messy(tmp_path)
    collected(tmp_path)
    before = contents(tmp_path)
    assert collected(tmp_path).num_dropped == 0
    assert contents(tmp_path) == before


def test_a_dry_run_says_the_same_and_touches_nothing(tmp_path: Path) -> None:
    messy(tmp_path)
    before = contents(tmp_path)
    dry = collected(tmp_path, Rules(dry_run=True, safe_age_s=0))
    assert contents(tmp_path) == before
    wet = collected(tmp_path)
    assert (dry.num_kept, dry.num_duplicates, dry.num_broken) == (wet.num_kept, wet.num_duplicates, wet.num_broken)


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    with ReplyLog(tmp_path, "s", "0") as log:
        put(log, "mine")
        done = collected(tmp_path)
        assert (done.num_kept, done.num_skipped) == (2, 1)
        put(log, "mine too")
    with ReplyLog(tmp_path, "s", "0") as log:
        assert len(log) == 4


def test_a_young_file_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    assert (collected(tmp_path, Rules()).num_skipped, len(files(tmp_path))) == (1, 1)
    old = time.time() - 601
    os.utime(files(tmp_path)[0], (old, old))
    assert collected(tmp_path, Rules()).num_kept == 2
    assert [path.suffix for path in files(tmp_path)] == [".arrow"]


def test_unnamed_models_are_dropped_when_asked_and_only_they(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        put(log, "a", who=("m", "1"))
        put(log, "b", who=("m", "2"))
    assert collected(tmp_path).num_unnamed == 0
    done = collected(tmp_path, Rules(named=frozenset({("m", "2")}), safe_age_s=0))
    assert (done.num_kept, done.num_unnamed) == (1, 1)
    with ReplyLog(tmp_path, "s", "0") as log:
        assert list(log) == [key_of("b")]


def test_a_block_without_a_reply_left_goes_and_leaves_no_trace(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    collected(tmp_path, Rules(named=frozenset(), safe_age_s=0))
    assert not folder_of(tmp_path, "s", "0").exists()
    assert take_stock(tmp_path).amounts == {}


def test_a_damaged_table_is_left_alone_and_named(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        put(log, "a")
        log.compact()
    (table,) = files(tmp_path)
    os.truncate(table, 300)
    shutil.copy(table, tmp_path / "copy")
    fill(tmp_path, 2)
    done = collected(tmp_path)
    assert done.damaged == [table]
    assert table.read_bytes() == (tmp_path / "copy").read_bytes()
    with ReplyLog(tmp_path, "s", "0") as log:
        assert (len(log), log.num_broken) == (2, 1)


def test_what_broken_off_work_left_is_swept_away(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (folder_of(tmp_path, "s", "0") / "x.partial").write_bytes(b"half")
    assert len(ReplyLog(tmp_path, "s", "0")) == 1
    collected(tmp_path)
    assert [path.suffix for path in files(tmp_path)] == [".arrow"]


def test_two_processes_cannot_collect_at_once(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    running = collect(tmp_path, NOW)
    next(running)
    with pytest.raises(CorpusError, match="another process collects"):
        list(collect(tmp_path, NOW))
    assert list(running) == []
    assert list(collect(tmp_path, NOW))


def test_a_writer_whose_file_is_taken_away_stops_instead_of_losing_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WINDOW_S", 0.001)
    log = ReplyLog(tmp_path, "s", "0")
    put(log, "a")
    files(tmp_path)[0].unlink()
    with pytest.raises(CorpusError, match="removed the file"):
        put(log, "b")
        log.close()


def test_stock_is_counted_once_by_flow_source_teacher_and_model(tmp_path: Path) -> None:
    messy(tmp_path)
    with ReplyLog(tmp_path, "s", "0") as log:
        put(log, "else", flow="synthetic-qa", who=("m", "2"))
    stock = take_stock(tmp_path)
    one, other = (Group(flow, "s", "t", "m", version) for flow, version in (("captioning", "1"), ("synthetic-qa", "2")))
    assert set(stock.amounts) == {one, other}
    amount = stock.amounts[one]
    assert (amount.num_replies, amount.prompt_tokens, amount.completion_tokens, amount.usd) == (5, 15, 20, 1.25)
    assert (stock.num_broken, stock.num_duplicates, stock.num_line_files, stock.num_tables) == (1, 3, 2, 1)
    on_disk = sum(path.stat().st_size for path in files(tmp_path))
    assert stock.line_bytes + stock.table_bytes == on_disk
    assert sum(each.num_bytes for each in stock.amounts.values()) == pytest.approx(on_disk)
    collected(tmp_path)
    after = take_stock(tmp_path)
    assert (after.amounts[one].usd, after.num_duplicates, after.num_broken) == (1.25, 0, 0)
