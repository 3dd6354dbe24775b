"""Every fault of the table, met over a real connection: by one request, once by each, and by all."""

import asyncio
import email.utils
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import GenerationError
from schemas.pipeline import Teacher
from teachers import failures
from teachers.failures import retry_after
from teachers.fleet import aimd, fleet
from teachers.opening import open_teacher
from teachers.replay.log import ReplyLog
from teachers.wire import transport
from teachers.wire.completion import error_words, read_completion
from tests.support.asking import OPEN, request
from tests.support.faults import AT_ONCE, FAULTS, GOES_ON, IN_A_ROW, WITH_PATIENCE, Fault
from tests.support.faults_page import PAGE, page
from tests.support.faulty import Faulty, faulty
from tests.support.meeting import KEY, STOPPED, TIMEOUT_S, Outcome, ask_all, patient
from tests.support.mishaps import Plan

SERVED = [fault for fault in FAULTS if fault.script is not None]
PLAIN = [f"question {index}" for index in range(8)]
MANY = [f"question {index}" for index in range(16)]
NUM_AT_ONCE = 4
PASSING = [fault for fault in SERVED if fault.run in (IN_A_ROW, WITH_PATIENCE) and fault.tries != 1]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "BASE_S", 0.01)
    monkeypatch.setattr(fleet, "NUM_TURNED_AWAY", 3)
    monkeypatch.setattr(aimd, "COOLDOWN_S", 0.02)
    monkeypatch.setattr(failures, "MAX_WISH_S", 0.3)
    monkeypatch.setattr(transport, "MAX_RESPONSE", 2 << 20)
    monkeypatch.setenv("TEACHER_KEY", KEY)


def asked_of(server: Faulty, fault: Fault, **changes: Any) -> Teacher:
    """A teacher whose timeout is short only where a fault is slow: machines may be, too."""
    timeout_s = TIMEOUT_S if fault.name.startswith("slow") else 3.0
    return patient(server.url, **{"timeout_s": timeout_s, **changes})


def named(fault: Fault) -> str:
    return fault.name


def says(fault: Fault, words: str) -> bool:
    """Whether a sentence has the words of the table; ... stands for anything."""
    return re.search(".*".join(map(re.escape, fault.words.split("..."))), words) is not None


def assert_nothing_was_paid_twice(server: Faulty) -> None:
    assert max(server.paid.values(), default=0) <= 1


def assert_no_key_is_shown(outcomes: list[Outcome]) -> None:
    assert not [one.words for one in outcomes if KEY[:6] in one.words]


async def assert_a_second_run_loses_nothing(server: Faulty, config: Teacher, root: Path, before: list[Outcome]) -> None:
    """The healed endpoint is asked what is missing, and nothing that was paid."""
    after = await ask_all(config, root, PLAIN)
    assert [one.what for one in after] == ["sample"] * len(PLAIN)
    assert [one.is_replayed for one in after] == [one.what == "sample" for one in before]
    assert_nothing_was_paid_twice(server)


@pytest.mark.parametrize("fault", SERVED, ids=named)
async def test_one_request_that_always_meets_a_fault_costs_no_other(fault: Fault, tmp_path: Path) -> None:
    async with faulty() as server:
        config = asked_of(server, fault)
        first, *others, met = await ask_all(
            config, tmp_path, [*PLAIN, f"[fault:{fault.name}] question"], first="the first"
        )
        assert first.what == "sample"
        assert met.what == (fault.record or STOPPED), met
        assert says(fault, met.words), met.words
        assert {one.what for one in others} <= ({"sample"} if fault.record else {"sample", STOPPED})
        if fault.tries is not None:
            assert server.num_tries("[fault:") == fault.tries
        assert_no_key_is_shown([met, *others])
        await assert_a_second_run_loses_nothing(server, config, tmp_path, others)


@pytest.mark.parametrize("fault", PASSING, ids=named)
async def test_a_fault_that_passes_costs_nothing(fault: Fault, tmp_path: Path) -> None:
    async with faulty() as server:
        prompts = [f"[fault:{fault.name}*1] {prompt}" for prompt in PLAIN]
        outcomes = await ask_all(asked_of(server, fault, patience_s=20), tmp_path, prompts, first="the first")
        assert [one.what for one in outcomes] == ["sample"] * 9
        assert server.num_tries("[fault:") == 16
        assert_nothing_was_paid_twice(server)


@pytest.mark.parametrize("fault", SERVED, ids=named)
async def test_an_endpoint_where_every_request_meets_a_fault_stops_the_run_or_is_not_to_blame(
    fault: Fault, tmp_path: Path
) -> None:
    async with faulty(Plan(fault=fault.name)) as server:
        config = asked_of(server, fault, max_in_flight=NUM_AT_ONCE)
        outcomes = await ask_all(config, tmp_path, MANY)
        if fault.run == GOES_ON:
            assert {one.what for one in outcomes} == {fault.record}
            assert server.num_requests == len(MANY)
        else:
            assert outcomes[-1].what == STOPPED
            assert {one.what for one in outcomes} <= {STOPPED, fault.record}
            assert server.num_requests <= (NUM_AT_ONCE if fault.run == AT_ONCE else 3 * len(MANY))
        assert all(says(fault, one.words) for one in outcomes if one.words), outcomes
        assert_no_key_is_shown(outcomes)
        server.plan.fault = ""
        await ask_all(config, tmp_path, MANY)
        assert_nothing_was_paid_twice(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.script is None], ids=named)
async def test_an_endpoint_that_nobody_can_reach_stops_the_run_with_one_sentence(fault: Fault, tmp_path: Path) -> None:
    host = {"refused": "127.0.0.1", "dns": "no-such-host.invalid"}[fault.name]
    url = f"http://{host}:{free_port()}/v1"
    outcomes = await ask_all(patient(url, locality="cluster"), tmp_path, PLAIN)
    assert {one.what for one in outcomes} == {STOPPED}
    assert len({one.words for one in outcomes}) == 1
    assert says(fault, outcomes[0].words), outcomes[0].words
    assert f"teacher 't' at {url}" in outcomes[0].words


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.run == AT_ONCE], ids=named)
async def test_a_teacher_that_is_out_is_stood_in_for(fault: Fault, tmp_path: Path) -> None:
    async with faulty(Plan(fault=fault.name)) as out, faulty() as spare:
        config = patient(out.url, fallback=("spare",))
        others = {"spare": patient(spare.url, model="spare-model")}
        with ReplyLog(tmp_path, "s", "0") as replies:
            async with open_teacher("t", config, root=tmp_path, others=others) as opened:
                ask = opened.ask_of(source="s", terms=OPEN, replies=replies)
                answers = await asyncio.gather(*(ask(request(prompt)) for prompt in PLAIN))
    assert {(reply.teacher, reply.model) for reply in answers} == {("spare", "spare-model")}
    assert 1 <= out.num_requests <= len(PLAIN)
    assert set(spare.paid.values()) == {1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
choices = st.fixed_dictionaries(
    {},
    optional={"message": json_values | st.fixed_dictionaries({"content": json_values}), "finish_reason": json_values},
)
usages = st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), json_values)
completions = st.fixed_dictionaries(
    {"choices": st.lists(choices | json_values, max_size=2)},
    optional={"usage": usages | json_values, "model": json_values, "system_fingerprint": json_values},
)


@settings(max_examples=60, deadline=None)
@given(
    said=st.binary(max_size=40) | (completions | json_values).map(lambda value: json.dumps(value).encode()),
    reasoning=st.sampled_from(["field", "tags", "hidden", "none"]),
)
def test_whatever_a_server_says_is_a_reply_or_nonsense(said: bytes, reasoning: str) -> None:
    try:
        reply, _ = read_completion(said, reasoning)
    except GenerationError as nonsense:
        assert nonsense.reason == "nonsense-reply"
        assert len(str(nonsense)) < 400
    else:
        assert isinstance(reply.content, str)
        assert min(reply.prompt_tokens, reply.completion_tokens) >= 0


@settings(max_examples=60, deadline=None)
@given(said=st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_the_words_of_any_error_are_one_short_line(said: bytes) -> None:
    words = error_words(said)
    assert len(words) <= 300
    assert "\n" not in words


@settings(max_examples=60, deadline=None)
@given(wish=st.text(max_size=30) | st.floats().map(str) | st.datetimes().map(email.utils.format_datetime))
def test_any_retry_after_is_a_number_of_seconds_or_none(wish: str) -> None:
    seconds = retry_after({"Retry-After": wish, "Date": email.utils.formatdate(0, usegmt=True)})
    assert seconds is None or seconds >= 0


def test_a_date_to_retry_after_is_read_by_the_servers_own_clock() -> None:
    headers = {"Retry-After": "Thu, 01 Jan 1970 00:00:09 GMT", "Date": "Thu, 01 Jan 1970 00:00:04 GMT"}
    assert retry_after(headers) == min(5, failures.MAX_WISH_S) > 0


def test_the_page_of_faults_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.support.faults_page"
