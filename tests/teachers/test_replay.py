import dataclasses
import json
import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ask import Reply, Request, Sampling, Turn
from schemas.errors import CorpusError, GenerationError
from teachers.answer import ServerFacts
from teachers.replay import writer
from teachers.replay.keys import request_key
from teachers.replay.line import decode, encode
from teachers.replay.log import ReplyLog
from teachers.replay.names import folder_of
from tests.support.asking import SCHEMA, frame, request

WHO = {"name": "t", "model": "m", "revision": "1"}
FACTS = ServerFacts("m", "fp_1", "vllm/1")


def keep(root: Path, num: int, start: int = 0) -> list[str]:
    with ReplyLog(root, "s", "0") as log:
        return [put(log, f"question {index}") for index in range(start, start + num)]


def put(log: ReplyLog, text: str) -> str:
    asked = request(text)
    key = request_key(WHO, asked)
    log.put(key, asked, Reply(f"answer to {text}", prompt_tokens=3, completion_tokens=4), FACTS)
    return key


def only_file(root: Path) -> Path:
    (path,) = folder_of(root, "s", "0").iterdir()
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": 1},
        {"schema": SCHEMA},
        {"sampling": Sampling(max_tokens=65, seed=7)},
        {"sampling": Sampling(max_tokens=64, seed=8)},
        {"sampling": Sampling(max_tokens=64)},
        {"sampling": Sampling(max_tokens=64, seed=7, temperature=0.1)},
        {"sampling": Sampling(max_tokens=64, seed=7, top_p=0.9)},
        {"frames": [frame()]},
        {"frames": [frame(fill=2)]},
        {"frames": [frame(), frame()]},
        {"text": "other"},
    ],
)
def test_everything_that_decides_a_reply_changes_the_key(change: dict[str, Any]) -> None:
    changes = [{"attempt": 0}, {"frames": [frame()]}, {"frames": [frame(fill=2)]}]
    keys = [request_key(WHO, request(**each)) for each in changes if each != change]
    assert request_key(WHO, request(**change)) not in keys


def test_model_and_revision_are_in_the_key_and_the_teachers_name_is_not() -> None:
    key = request_key(WHO, request())
    assert request_key({**WHO, "name": "renamed"}, request()) == key
    assert request_key({**WHO, "revision": "2"}, request()) != key
    assert request_key({**WHO, "model": "n"}, request()) != key


def test_role_and_prompt_file_are_not_in_the_key() -> None:
    asked = request()
    renamed = dataclasses.replace(asked, role="judge", prompt_sha256="f" * 64)
    assert request_key(WHO, renamed) == request_key(WHO, asked)


def test_whole_numbers_written_as_integers_make_the_same_key() -> None:
    as_int, as_float = Sampling(temperature=0, top_p=1), Sampling(temperature=0.0, top_p=1.0)
    assert request_key(WHO, request(sampling=as_int)) == request_key(WHO, request(sampling=as_float))


def test_how_pictures_were_shrunk_is_in_the_key_of_requests_with_pictures_only() -> None:
    seen, unseen = request(frames=[frame()]), request()
    assert len({request_key(WHO, seen, pictures) for pictures in ("", "1 Mpx", "2 Mpx")}) == 3
    assert request_key(WHO, unseen, "1 Mpx") == request_key(WHO, unseen)


def test_a_schema_is_its_content_in_its_order_whatever_kind_of_mapping_it_is() -> None:
    one, other = {"a": {"b": 1}, "c": 2}, {"c": 2, "a": {"b": 1}}
    frozen = MappingProxyType({"a": MappingProxyType({"b": 1}), "c": 2})
    assert request_key(WHO, request(schema=frozen)) == request_key(WHO, request(schema=one))
    assert request_key(WHO, request(schema=other)) != request_key(WHO, request(schema=one))


def test_a_request_that_is_not_unicode_is_refused_before_it_is_sent() -> None:
    with pytest.raises(GenerationError, match="not-unicode"):
        request_key(WHO, request("half a pair: \ud83d"))


def test_text_cannot_move_between_turns_unnoticed() -> None:
    one = Request("generate", (Turn("user", "a"), Turn("user", "b")))
    other = Request("generate", (Turn("user", 'a"],["user","b'),))
    assert request_key(WHO, one) != request_key(WHO, other)


def test_a_kept_reply_comes_back_from_the_next_log(tmp_path: Path) -> None:
    (key,) = keep(tmp_path, 1)
    with ReplyLog(tmp_path, "s", "0") as log:
        reply = log.get(key)
    assert reply == Reply("answer to question 0", key=key, prompt_tokens=3, completion_tokens=4, replayed=True)


def test_a_reply_is_found_at_once_and_by_its_own_key_only(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        keys = [put(log, f"é中{index}" * (index + 1)) for index in range(20)]
        assert [log.get(key) is not None for key in keys] == [True] * 20
        assert log.get("0" * 64) is None
        assert len(set(keys)) == len(log) == 20


def test_logs_of_another_source_or_shard_answer_nothing(tmp_path: Path) -> None:
    (key,) = keep(tmp_path, 1)
    for source, shard in (("s", "1"), ("t", "0")):
        with ReplyLog(tmp_path, source, shard) as log:
            assert log.get(key) is None


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        assert log.get("0" * 64) is None
    assert list(tmp_path.iterdir()) == []
    keep(tmp_path, 1)
    keep(tmp_path, 0)
    assert len(list(folder_of(tmp_path, "s", "0").iterdir())) == 1


def test_every_writer_has_a_file_of_its_own_and_all_are_read(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as one, ReplyLog(tmp_path, "s", "0") as other:
        put(one, "a")
        put(other, "b")
    assert len(list(folder_of(tmp_path, "s", "0").iterdir())) == 2
    with ReplyLog(tmp_path, "s", "0") as log:
        assert len(log) == 2


@given(cut=st.integers(min_value=0, max_value=10_000))
def test_a_log_torn_anywhere_keeps_every_whole_line(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    root = tmp_path_factory.mktemp("torn")
    keys = keep(root, 3)
    path = only_file(root)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    with ReplyLog(root, "s", "0") as log:
        whole = content.count(b"\n")
        assert [log.get(key) is not None for key in keys[:whole]] == [True] * whole
        assert whole <= len(log) <= whole + 1
        assert log.num_broken + len(log) == whole + (not content.endswith(b"\n") and content != b"")


def test_a_line_torn_of_its_newline_only_still_answers(tmp_path: Path) -> None:
    (key,) = keep(tmp_path, 1)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with ReplyLog(tmp_path, "s", "0") as log:
        assert log.get(key) is not None
        assert log.num_broken == 0


@pytest.mark.parametrize("damage", [b"{}", b"\xff\xfe", b"[1]", b'"text"', b"null", b"not json", b""])
def test_a_broken_line_in_the_middle_is_counted_and_costs_only_itself(tmp_path: Path, damage: bytes) -> None:
    keys = keep(tmp_path, 3)
    path = only_file(tmp_path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]))
    with ReplyLog(tmp_path, "s", "0") as log:
        assert [log.get(key) is not None for key in keys] == [True, False, True]
        assert log.num_broken == 1


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"answer to", b"answer do"),
        (b'"key":"', b'"kex":"'),
        (b'"prompt_tokens":3', b'"prompt_tokens":8'),
        (b'"text":"question', b'"text":"guestion'),
        (b"fp_1", b"fp_2"),
    ],
)
def test_a_flipped_letter_anywhere_in_a_line_is_noticed(tmp_path: Path, was: bytes, becomes: bytes) -> None:
    (key,) = keep(tmp_path, 1)
    path = only_file(tmp_path)
    assert was in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(was, becomes))
    with ReplyLog(tmp_path, "s", "0") as log:
        assert (log.get(key), log.num_broken) == (None, 1)


def test_a_request_with_a_picture_is_logged_in_under_4_kb(tmp_path: Path) -> None:
    asked = request("Facts: modality CT. " * 40, frames=[frame(150_000)], schema=SCHEMA)
    with ReplyLog(tmp_path, "s", "0") as log:
        log.put(request_key(WHO, asked), asked, Reply("A short answer."), FACTS)
    line = only_file(tmp_path).read_bytes()
    assert len(line) < 4_096
    shown = json.loads(line)["request"]["turns"][1]["frames"]
    assert [(each["mime"], each["num_bytes"], len(each["sha256"])) for each in shown] == [("image/jpeg", 150_000, 64)]


def test_a_line_says_what_was_asked_and_who_answered(tmp_path: Path) -> None:
    keep(tmp_path, 1)
    line = json.loads(only_file(tmp_path).read_bytes())
    assert line["request"]["turns"][1]["text"] == "question 0"
    assert line["server"] == {"model": "m", "system_fingerprint": "fp_1", "version": "vllm/1"}


def test_a_line_says_for_whom_and_for_how_much(tmp_path: Path) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        paid = Reply("a", teacher="t", model="m", revision="1", usd=0.0123)
        log.put("k", request(), paid, FACTS, flow="captioning")
    line = json.loads(only_file(tmp_path).read_bytes())
    assert [line[name] for name in ("flow", "source", "teacher", "usd")] == ["captioning", "s", "t", 0.0123]


def test_every_field_of_a_reply_comes_back_but_its_price() -> None:
    values = {each.name: f"some {each.name}" for each in dataclasses.fields(Reply)}
    reply = Reply(**{**values, "prompt_tokens": 3, "completion_tokens": 4, "usd": 0.5, "replayed": False})
    kept = decode(encode(reply.key, request(), reply, FACTS))
    assert kept is not None
    assert kept.reply() == dataclasses.replace(reply, usd=0.0, replayed=True)
    assert (kept.usd, kept.system_fingerprint) == (0.5, "fp_1")


@given(text=st.text(), facts=st.text())
def test_any_text_comes_back_and_cannot_be_taken_for_another_part_of_its_line(text: str, facts: str) -> None:
    tricky = f'{text},"request":{facts},"crc32":1}}'
    kept = decode(encode("k", request(tricky), Reply(tricky, reasoning=facts), ServerFacts(tricky)))
    assert kept is not None
    assert (kept.content, kept.reasoning, kept.server_model) == (tricky, facts, tricky)
    assert json.loads(kept.request)["turns"][1]["text"] == tricky


@given(names=st.lists(st.text(max_size=300), min_size=2, max_size=2, unique=True))
def test_any_two_names_make_two_folders_inside_the_corpus(names: list[str]) -> None:
    root = Path("/corpus")
    folders = [folder_of(root, "s", name.encode(errors="replace").decode()) for name in names]
    for folder in folders:
        assert folder.parent == root / "replies" / "s"
        assert ".." not in folder.parts
        assert len(folder.name.encode()) <= 255
        assert "\x00" not in folder.name
    if len({name.encode(errors="replace") for name in names}) == 2:
        assert folders[0] != folders[1]


def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "replies").write_text("a file where a folder should be")
    log = ReplyLog(tmp_path, "s", "0")
    with pytest.raises(CorpusError, match="cannot keep a reply"):
        put(log, "a")
    log.close()


def test_a_disk_that_fills_up_in_a_line_costs_that_line_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ReplyLog(tmp_path, "s", "0") as log:
        put(log, "a")
        with monkeypatch.context() as full:
            full.setattr(writer.os, "write", lambda handle, data: _write_half(handle, data))
            with pytest.raises(CorpusError, match="only part of a line"):
                put(log, "b")
        put(log, "c")
    with ReplyLog(tmp_path, "s", "0") as log:
        assert (len(log), log.num_broken) == (2, 1)


_write = os.write


def _write_half(handle: int, data: bytes) -> int:
    return _write(handle, data[: len(data) // 2])


def test_lines_reach_the_disk_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(writer.os, "fsync", lambda handle: (synced.append(handle), fsync(handle))[1])
    keep(tmp_path, 500)
    assert 2 <= len(synced) <= 20


def test_a_failing_disk_is_reported_at_the_latest_when_closing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ReplyLog(tmp_path, "s", "0")
    put(log, "a")
    monkeypatch.setattr(writer.os, "fsync", _fail)
    with pytest.raises(CorpusError, match="No space left"):
        for index in range(3):
            put(log, str(index))
        log.close()


def _fail(handle: int) -> None:
    raise OSError(28, "No space left on device")
