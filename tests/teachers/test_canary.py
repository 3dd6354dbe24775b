import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from schemas.ask import Ask, Reply, Request, Turn
from schemas.errors import CorpusError, GenerationError, TeacherError
from schemas.pipeline import Teacher
from teachers.answer import Answer, ServerFacts
from teachers.canary.check import QUESTIONS, Describe, check, read_about
from teachers.canary.log import log_of, read_checks
from teachers.identity import identity
from teachers.replay.log import ReplyLog
from teachers.wire.client import Client
from teachers.wire.completion import body_of
from tests.support.asking import asking, request, teacher
from tests.support.endpoint import Behavior, serve

WHO = {"name": "t", "model": "test-model", "revision": "1"}
VLLM = {"id": "test-model", "created": 1, "owned_by": "vllm", "root": "/models/a", "max_model_len": 4096}
Asking = Callable[[Request], Awaitable[Answer]]


@asynccontextmanager
async def asker(url: str, model: str = "test-model") -> AsyncIterator[Asking]:
    """Really asks the server at `url`, whose answers depend on the model that is named."""
    config = teacher(url, model=model)
    client = Client("t", config, url, None)

    async def ask(request: Request) -> Answer:
        return (await client.complete(orjson.dumps(body_of(request, config, {}))))[0]

    try:
        yield ask
    finally:
        await client.close()


def says(texts: Mapping[str, str]) -> Asking:
    """Answers each question with its text; one without is refused."""

    async def ask(request: Request) -> Answer:
        text = texts.get(request.turns[0].text)
        if text is None:
            raise GenerationError("teacher-refused", "HTTP 400: not this one")
        return Reply(text), ServerFacts()

    return ask


def describes(**changes: object) -> Describe:
    async def describe() -> bytes:
        return orjson.dumps({"object": "list", "data": [{**VLLM, **changes}]})

    return describe


ANSWERS = {question: f"{question} It is as the textbook has it." for question in QUESTIONS}


async def test_the_same_model_is_never_reported_and_every_check_is_kept(tmp_path: Path) -> None:
    async with serve() as endpoint, asker(endpoint.url) as ask:
        for _ in range(3):
            assert await check(WHO, tmp_path, 3, ask) == ""
        assert endpoint.stats.num_requests == 9
        sent = [orjson.loads(body) for body in endpoint.bodies]
    assert {(body["temperature"], body["seed"], body["max_tokens"]) for body in sent} == {(0.0, 7, 24)}
    checks = read_checks(log_of(tmp_path, WHO))
    assert len(checks) == 3 and checks[0].answers == checks[2].answers
    assert checks[0].at.endswith("+00:00") and checks[0].answers[0].server.version == "test-endpoint/1"


@pytest.mark.parametrize("num", [1, 3, 8])
async def test_another_model_behind_the_same_name_is_reported_with_what_changed(tmp_path: Path, num: int) -> None:
    async with serve() as endpoint:
        async with asker(endpoint.url) as ask:
            await check(WHO, tmp_path, num, ask)
        async with asker(endpoint.url, "another-model") as ask:
            words = [await check(WHO, tmp_path, num, ask) for _ in range(2)]
        async with asker(endpoint.url) as ask:
            assert await check(WHO, tmp_path, num, ask) == ""
    since = read_checks(log_of(tmp_path, WHO))[0].at
    for said in words:
        assert said.startswith(f"teacher 't' may not be the model that it was on {since}: {num} of {num} canary")
        assert "model test-model -> another-model" in said and "system_fingerprint fp_" in said


async def test_a_token_that_flips_is_not_a_change_of_model(tmp_path: Path) -> None:
    await check(WHO, tmp_path, 3, says(ANSWERS))
    for flipped in QUESTIONS[:3]:
        early = {**ANSWERS, flipped: "Quite another sentence, from its first word."}
        assert await check(WHO, tmp_path, 3, says(early)) == ""
    late = {question: f"{text[:-8]}says so." for question, text in ANSWERS.items()}
    assert await check(WHO, tmp_path, 3, says(late)) == ""


async def test_answers_that_were_taken_for_the_models_own_stay_its_own(tmp_path: Path) -> None:
    await check(WHO, tmp_path, 3, says(ANSWERS))
    flips = {**ANSWERS, QUESTIONS[0]: "Another way.", QUESTIONS[1]: "Another too."}
    assert "2 of 3" in await check(WHO, tmp_path, 3, says(flips))
    for question in QUESTIONS[:2]:
        await check(WHO, tmp_path, 3, says({**ANSWERS, question: flips[question]}))
    assert await check(WHO, tmp_path, 3, says(flips)) == ""


async def test_an_answer_that_is_new_is_asked_for_once_more_before_it_counts(tmp_path: Path) -> None:
    await check(WHO, tmp_path, 3, says(ANSWERS))
    seen: set[str] = set()

    async def unsteady(request: Request) -> Answer:
        question = request.turns[0].text
        first = question not in seen
        seen.add(question)
        return await says({question: "A slip."} if first else ANSWERS)(request)

    assert await check(WHO, tmp_path, 3, unsteady) == ""
    assert len(seen) == 3


async def test_a_server_that_is_down_has_not_changed_and_leaves_no_trace(tmp_path: Path) -> None:
    async with serve() as endpoint:
        url = endpoint.url
    async with asker(url) as ask:
        assert await check(WHO, tmp_path, 3, ask, describes()) == ""
    assert not log_of(tmp_path, WHO).exists()
    async with serve() as endpoint, asker(endpoint.url) as ask:
        await check(WHO, tmp_path, 3, ask)
        endpoint.behavior.fail_first, endpoint.behavior.fail_status = 10_000, 500
        assert await check(WHO, tmp_path, 3, ask) == ""
    assert len(read_checks(log_of(tmp_path, WHO))) == 1


async def test_a_refused_question_is_left_out_and_the_others_are_compared(tmp_path: Path) -> None:
    async with serve(Behavior(refuse=QUESTIONS[1])) as endpoint, asker(endpoint.url) as ask:
        await check(WHO, tmp_path, 3, ask)
        async with asker(endpoint.url, "another-model") as other:
            assert "2 of 2 canary answers" in await check(WHO, tmp_path, 3, other)
        assert await check(WHO, tmp_path, 2, ask) == ""
    async with serve(Behavior(refuse="sentence")) as endpoint, asker(endpoint.url) as ask:
        assert await check({**WHO, "model": "shy"}, tmp_path, 1, ask) == ""


async def test_more_questions_than_last_time_compare_those_that_were_asked(tmp_path: Path) -> None:
    await check(WHO, tmp_path, 2, says(ANSWERS))
    assert await check(WHO, tmp_path, 5, says(ANSWERS)) == ""
    other = dict.fromkeys(QUESTIONS, "No.")
    assert "5 of 5" in await check(WHO, tmp_path, 8, says(other))


async def test_thinking_is_compared_too(tmp_path: Path) -> None:
    async def thinks(request: Request) -> Answer:
        return Reply("", "length", reasoning=f"Hm, {request.turns[0].text}", problem="no-content"), ServerFacts()

    async def thinks_otherwise(request: Request) -> Answer:
        return Reply("", "length", reasoning="The user asks ...", problem="no-content"), ServerFacts()

    assert [await check(WHO, tmp_path, 3, thinks) for _ in range(2)] == ["", ""]
    assert "3 of 3" in await check(WHO, tmp_path, 3, thinks_otherwise)


async def test_a_server_that_describes_its_model_otherwise_is_reported(tmp_path: Path) -> None:
    ask = says(ANSWERS)
    assert await check(WHO, tmp_path, 3, ask, describes()) == ""
    assert await check(WHO, tmp_path, 3, ask, describes(created=2, parent="new field", root="/models/a")) == ""
    words = await check(WHO, tmp_path, 3, ask, describes(root="/models/b", max_model_len=8192))
    assert words.endswith("describes its model otherwise (root /models/a -> /models/b, max_model_len 4096 -> 8192)")
    both = await check(WHO, tmp_path, 3, says(dict.fromkeys(QUESTIONS, "No.")), describes(root="/models/b"))
    assert "3 of 3 canary answers are others, and the server describes" in both


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": null}', b'{"data": [1]}', b'{"data": []}'])
def test_a_description_that_is_none_says_nothing(body: bytes) -> None:
    assert read_about(body, "test-model") == {}


def test_the_description_is_of_our_model_among_several() -> None:
    several = orjson.dumps({"data": [VLLM, {"id": "lora", "root": "/models/lora"}]})
    assert read_about(several, "lora") == {"id": "lora", "root": "/models/lora"}
    assert read_about(several, "neither") == {}


async def test_a_torn_line_is_passed_over_and_the_next_check_stands_on_its_own(tmp_path: Path) -> None:
    await check(WHO, tmp_path, 3, says(ANSWERS))
    path = log_of(tmp_path, WHO)
    path.write_bytes(path.read_bytes() + b'{"at": "2026-11-23T00:00:00+00:00", "answ')
    assert await check(WHO, tmp_path, 3, says(ANSWERS)) == ""
    assert len(read_checks(path)) == 2
    assert "3 of 3" in await check(WHO, tmp_path, 3, says(dict.fromkeys(QUESTIONS, "No.")))


async def test_checks_at_once_are_all_kept_whole(tmp_path: Path) -> None:
    await asyncio.gather(*(check(WHO, tmp_path, 8, says(ANSWERS)) for _ in range(20)))
    assert len(read_checks(log_of(tmp_path, WHO))) == 20


async def test_unpinned_teachers_of_one_model_name_have_a_reference_each(tmp_path: Path) -> None:
    config = Teacher(model="default", base_url=("http://127.0.0.1:1/v1",), locality="loopback")
    await check(identity("one", config), tmp_path, 3, says(ANSWERS))
    assert await check(identity("two", config), tmp_path, 3, says(dict.fromkeys(QUESTIONS, "No."))) == ""
    assert all(log_of(tmp_path, identity(name, config)).exists() for name in ("one", "two"))


async def test_a_check_that_cannot_be_kept_says_where(tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("a file where the folder should be")
    with pytest.raises(CorpusError, match=r"canary/.*\.jsonl"):
        await check(WHO, tmp_path / "canary", 1, says(ANSWERS))


async def test_a_run_stops_for_a_changed_model_without_a_revision_and_reports_one_with(tmp_path: Path) -> None:
    async with serve() as endpoint:
        for revision in ("", "1"):
            config = teacher(endpoint.url, canary=3, revision=revision)
            async with asking(config, tmp_path) as (ask, meter, _):
                await ask(request("one"))
                assert meter.drift == ""
            for path in (tmp_path / "replies" / ".canary").iterdir():
                path.write_bytes(path.read_bytes().replace(b'"text":"', b'"text":"Once I said: '))
            async with asking(config, tmp_path) as (ask, meter, _):
                if revision:
                    assert (await ask(request("two"))).content and "3 of 3" in meter.drift
                else:
                    with pytest.raises(TeacherError, match=r"3 of 3 canary answers.*set revision in \[teachers\.t\]"):
                        await ask(request("two"))
    with ReplyLog(tmp_path, "s", "0") as replies:
        assert len(replies) == 3  # no canary answer is a kept reply


@pytest.mark.embedded
async def test_the_real_model_is_recognized_and_with_another_prompt_template_it_is_not(tmp_path: Path) -> None:
    config = Teacher(model="embedded:smollm2")
    who = identity("e", config)

    def plain(ask: Ask) -> Asking:
        async def once(request: Request) -> Answer:
            return await ask(request), ServerFacts()

        return once

    async with asking(config, tmp_path / "one") as (ask, _, _):
        assert await check(who, tmp_path, 3, plain(ask)) == ""
    async with asking(config, tmp_path / "two") as (ask, _, _):

        async def reframed(request: Request) -> Answer:
            turns = (Turn("system", "You are a tired pirate."), *request.turns)
            return await plain(ask)(dataclasses.replace(request, turns=turns))

        assert await check(who, tmp_path, 3, plain(ask)) == ""
        assert "3 canary answers are others" in await check(who, tmp_path, 3, reframed)
