import asyncio
import dataclasses
import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from schemas.ask import Reply, Sampling
from schemas.errors import ConfigError, GenerationError, PolicyError, TeacherError
from schemas.license import License
from schemas.pipeline import Budget as Limits
from schemas.pipeline import Price, Teacher
from schemas.record import Access, SourceTerms
from teachers.budget import Budget
from teachers.fleet import breaker, fleet
from teachers.meter import Meter
from teachers.opening import open_teacher
from teachers.replay.log import ReplyLog
from tests.support.asking import OPEN, SCHEMA, asking, request, teacher
from tests.support.endpoint import Behavior, serve

KEY = "sk-very-secret-0123456789"


def written_below(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "BASE_S", 0.01)


async def test_a_reply_says_who_gave_it_and_what_it_answers(tmp_path: Path) -> None:
    async with serve() as endpoint, asking(teacher(endpoint.url), tmp_path) as (ask, usage, replies):
        reply = await ask(request())
        assert list(replies) == [reply.key]
    assert (reply.teacher, reply.model, reply.revision) == ("t", "test-model", "1")
    assert not reply.replayed
    assert usage.num_requests == 1
    assert (usage.prompt_tokens, usage.completion_tokens) == (reply.prompt_tokens, reply.completion_tokens)


async def test_what_was_answered_once_is_never_asked_again(tmp_path: Path) -> None:
    async with serve() as endpoint:
        async with asking(teacher(endpoint.url), tmp_path) as (ask, _, _):
            first = [await ask(request(f"question {index}")) for index in range(5)]
        async with asking(teacher(endpoint.url), tmp_path) as (ask, usage, _):
            again = [await ask(request(f"question {index}")) for index in range(5)]
    assert again == [dataclasses.replace(each, replayed=True) for each in first]
    assert usage == Meter(num_requests=5, num_replayed=5)
    assert endpoint.stats.num_requests == 5


async def test_another_url_and_another_name_share_replies_and_another_revision_does_not(
    tmp_path: Path,
) -> None:
    async with serve() as one, serve() as other:
        async with asking(teacher(one.url), tmp_path) as (ask, _, _):
            await ask(request())
        with ReplyLog(tmp_path, "s", "0") as replies:
            async with open_teacher("renamed", teacher(other.url), root=tmp_path) as opened:
                ask = opened.ask_of(source="s", terms=OPEN, replies=replies)
                reply = await ask(request())
        assert (reply.replayed, reply.teacher) == (True, "renamed")
        async with asking(teacher(other.url, revision="2"), tmp_path) as (ask, _, _):
            assert not (await ask(request())).replayed
    assert (one.stats.num_requests, other.stats.num_requests) == (1, 1)


async def test_twins_on_their_way_are_asked_once(tmp_path: Path) -> None:
    async with (
        serve(Behavior(latency_ms=20)) as endpoint,
        asking(teacher(endpoint.url), tmp_path) as (ask, usage, replies),
    ):
        twins = await asyncio.gather(*(ask(request()) for _ in range(8)))
        assert len(replies) == 1
    assert endpoint.stats.num_requests == 1
    assert len({reply.content for reply in twins}) == 1
    assert (usage.num_requests, usage.num_replayed) == (8, 7)


async def test_a_twin_goes_on_when_the_first_asker_is_cancelled(tmp_path: Path) -> None:
    async with (
        serve(Behavior(latency_ms=50)) as endpoint,
        asking(teacher(endpoint.url), tmp_path) as (ask, _, _),
    ):
        first = asyncio.create_task(ask(request()))
        twin = asyncio.create_task(ask(request()))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await twin).content
        assert first.cancelled()


async def test_a_refused_record_never_leaves(tmp_path: Path) -> None:
    terms = SourceTerms(License("PhysioNet", derivatives=True), Access.CREDENTIALED)
    async with serve() as endpoint:
        remote = teacher(endpoint.url, locality="remote")
        async with asking(remote, tmp_path, terms=terms) as (ask, usage, _):
            with pytest.raises(PolicyError, match="source 's' may not go to teacher 't'"):
                await ask(request())
    assert endpoint.stats.num_requests == usage.num_requests == 0


async def test_policy_is_checked_before_a_kept_reply_is_used(tmp_path: Path) -> None:
    forbidden = SourceTerms(License("CC-BY-ND-4.0"))
    async with serve() as endpoint:
        async with asking(teacher(endpoint.url), tmp_path) as (ask, _, _):
            await ask(request())
        async with asking(teacher(endpoint.url), tmp_path, terms=forbidden) as (ask, _, _):
            with pytest.raises(PolicyError, match="derivatives"):
                await ask(request())


async def test_in_flight_stays_at_the_ceiling_that_the_server_sees(tmp_path: Path) -> None:
    async with (
        serve(Behavior(latency_ms=5)) as endpoint,
        asking(teacher(endpoint.url, max_in_flight=7), tmp_path) as (ask, _, _),
    ):
        await asyncio.gather(*(ask(request(f"question {index}")) for index in range(100)))
    assert endpoint.stats.max_in_flight == 7
    assert endpoint.stats.num_answered == 100


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_first_try_failures_lose_nothing(tmp_path: Path, status: int) -> None:
    behavior = Behavior(fail_first_each=1, fail_status=status, retry_after="0.01")
    async with serve(behavior) as endpoint, asking(teacher(endpoint.url), tmp_path) as (ask, usage, _):
        await asyncio.gather(*(ask(request(f"question {index}")) for index in range(30)))
    assert (endpoint.stats.num_failed, endpoint.stats.num_answered, usage.num_requests) == (30, 30, 30)


async def test_refused_prompts_are_rejects_and_cost_the_others_nothing(tmp_path: Path) -> None:
    async with (
        serve(Behavior(refuse="question 7")) as endpoint,
        asking(teacher(endpoint.url), tmp_path) as (ask, usage, replies),
    ):
        asks = [ask(request(f"question {index} ?")) for index in range(20)]
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        assert len(replies) == 19
    failed = [each for each in outcomes if isinstance(each, GenerationError)]
    assert [each.reason for each in failed] == ["teacher-refused"]
    assert sum(isinstance(each, Reply) for each in outcomes) == usage.num_requests == 19
    assert endpoint.stats.num_requests == 20


async def test_a_retry_goes_to_the_next_endpoint(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        async with serve() as alive, asking(teacher((dead, alive.url)), tmp_path) as (ask, _, _):
            await asyncio.gather(*(ask(request(f"question {index}")) for index in range(20)))
    assert alive.stats.num_answered == 20


async def test_an_endpoint_that_is_down_stops_with_one_message(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        async with asking(teacher(dead), tmp_path) as (ask, _, _):
            outcomes = await asyncio.gather(
                *(ask(request(f"question {index}")) for index in range(10)), return_exceptions=True
            )
    assert {type(each) for each in outcomes} == {TeacherError}
    assert f"teacher 't' at {dead} cannot be reached" in str(outcomes[0])
    assert "running again goes on from here" in str(outcomes[0])
    assert written_below(tmp_path) == {}


async def test_a_web_page_instead_of_a_model_stops_before_any_record_is_rejected(tmp_path: Path) -> None:
    async with (
        serve(Behavior(html=True)) as endpoint,
        asking(teacher(endpoint.url, max_retries=5), tmp_path) as (ask, _, _),
    ):
        with pytest.raises(TeacherError, match=r"It works!.*check that base_url"):
            await ask(request())
    assert endpoint.stats.num_requests == breaker.NUM_BAD_AT_START


async def test_a_wrong_model_name_is_named(tmp_path: Path) -> None:
    async with (
        serve(Behavior(model="right")) as endpoint,
        asking(teacher(endpoint.url, model="wrong"), tmp_path) as (ask, _, _),
    ):
        with pytest.raises(TeacherError, match=r"HTTP 404: The model `wrong` does not exist.*check model"):
            await ask(request())


@pytest.mark.parametrize("max_in_flight", [1, 8])
async def test_the_budget_stops_the_run_and_keeps_what_was_paid(tmp_path: Path, max_in_flight: int) -> None:
    config_of = {"price": Price(input=0.0, output=1_000_000.0), "max_in_flight": max_in_flight}
    budget = Budget(Limits(usd=300.0))
    async with serve() as endpoint:
        config = teacher(endpoint.url, **config_of)
        async with asking(config, tmp_path, budget=budget) as (ask, meter, replies):
            asks = [ask(request(f"question {index}")) for index in range(60)]
            outcomes = await asyncio.gather(*asks, return_exceptions=True)
            paid = [each for each in outcomes if isinstance(each, Reply)]
            assert len(replies) == len(paid) == meter.num_requests > 0
        stops = {str(each) for each in outcomes if not isinstance(each, Reply)}
        assert all("every reply is kept: raise usd in [budget]" in stop for stop in stops) and stops
        assert budget.spent.usd == meter.usd == meter.completion_tokens <= 300
        async with asking(config, tmp_path, budget=budget) as (ask, _, _):
            assert (await ask(request("question 0"))).replayed
    assert endpoint.stats.num_requests == len(paid)


async def test_replay_only_answers_kept_requests_and_names_what_is_missing(tmp_path: Path) -> None:
    async with serve() as endpoint, asking(teacher(endpoint.url), tmp_path) as (ask, _, _):
        await ask(request())
    config = teacher(endpoint.url, api_key_env="NOT_NEEDED_FOR_REPLAY")
    async with asking(config, tmp_path, replay_only=True) as (ask, _, _):
        assert (await ask(request())).replayed
        with pytest.raises(TeacherError, match="may only replay, and no reply to request"):
            await ask(request("another"))


async def test_a_missing_key_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"\[teachers\.t\].*TEACHER_KEY, which is not set; export TEACHER_KEY"):
        async with asking(teacher("http://127.0.0.1:1/v1", api_key_env="TEACHER_KEY"), tmp_path):
            pass


@pytest.mark.parametrize("value", [f"{KEY}\nX-Other: 1", f"{KEY}é", f"{KEY}\x00"])
async def test_a_key_that_no_header_takes_is_refused_unseen(tmp_path: Path, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if "\x00" in value:
            value = value.replace("\x00", "\x7f")
        patch.setenv("TEACHER_KEY", value)
        with pytest.raises(ConfigError, match="the key in TEACHER_KEY has characters") as refused:
            async with asking(teacher("http://127.0.0.1:1/v1", api_key_env="TEACHER_KEY"), tmp_path):
                pass
    assert KEY not in str(refused.value)


async def test_the_key_is_sent_and_found_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEACHER_KEY", f" {KEY}\n")
    said: list[Any] = []
    async with serve(Behavior(key=KEY)) as good, serve(Behavior(key="another")) as bad:
        config = teacher(good.url, api_key_env="TEACHER_KEY")
        async with open_teacher("t", config, root=tmp_path) as opened:
            with ReplyLog(tmp_path, "s", "0") as replies:
                ask = opened.ask_of(source="s", terms=OPEN, replies=replies)
                said += [await ask(request()), opened, vars(opened), ask, replies, vars(replies)]
        async with asking(teacher(bad.url, api_key_env="TEACHER_KEY"), tmp_path) as (ask, _, _):
            with pytest.raises(TeacherError, match="HTTP 401") as failed:
                await ask(request("another"))
            said += [failed.value, failed.getrepr(style="long")]
    assert good.stats.num_answered == 1
    out, err = capfd.readouterr()
    for text in (*map(repr, said), *map(str, said), *written_below(tmp_path).values(), caplog.text, out, err):
        assert KEY not in text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"base_url": "http://user:hunter2@127.0.0.1:1/v1"}, "holds a user or password"),
        ({"base_url": "127.0.0.1:8000/v1"}, "is not an http"),
        ({"base_url": "file:///etc/passwd"}, "is not an http"),
        ({"base_url": "http://127.0.0.1:1/v1", "model": "embedded:smollm2"}, "remove base_url"),
        ({"base_url": "https://api.example.org/v1"}, "locality"),
    ],
)
async def test_a_url_that_cannot_be_right_is_refused_at_opening(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"\[teachers\.t\].*{words}") as refused:
        async with asking(teacher(config.pop("base_url"), **{"revision": "", **config}), tmp_path):
            pass
    assert "hunter2" not in str(refused.value)


async def test_opening_a_teacher_connects_to_nothing(tmp_path: Path) -> None:
    async with serve() as endpoint, asking(teacher(endpoint.url), tmp_path):
        await asyncio.sleep(0.05)
    assert endpoint.stats.num_requests == 0
    assert written_below(tmp_path) == {}


async def test_a_schema_reply_obeys_its_schema(tmp_path: Path) -> None:
    async with serve() as endpoint, asking(teacher(endpoint.url), tmp_path) as (ask, _, _):
        reply = await ask(request(schema=SCHEMA, sampling=Sampling(max_tokens=99)))
    value = json.loads(reply.content)
    assert set(value) == {"caption", "certain", "organ"}
    assert 20 <= len(value["caption"]) <= 200


def test_no_event_loop_is_needed_to_describe_a_teacher(tmp_path: Path) -> None:
    opening = open_teacher("t", Teacher(model="m", base_url=("http://127.0.0.1:1/v1",)), root=tmp_path)
    assert opening is not None
