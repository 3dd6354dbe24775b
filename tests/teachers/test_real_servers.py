"""One contract, and every real server that runs here keeps it: llama.cpp in this process and served, vLLM served."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest
import pytest_asyncio

from schemas.ask import Sampling
from schemas.errors import GenerationError
from schemas.pipeline import Teacher
from teachers.identity import embedded_model, gguf_of
from teachers.serving.embedded import EmbeddedServer
from teachers.serving.served import Served, Server, log_of
from tests.support.asking import SCHEMA, asking, request
from tests.support.processes import below, comes_true, gone
from tests.support.real_servers import EMBEDDED, LLAMA, VLLM, VLLM_CPU, Real, at

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]
SHORT = Sampling(max_tokens=16, seed=7)

WITH_VLLM = [
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(not VLLM.exists(), reason="vLLM's CPU build is not in .peers/vllm: make vllm"),
]
IN_PROCESS = pytest.param(EMBEDDED, id="llama.cpp-in-process")
SERVED = [pytest.param(LLAMA, id="llama.cpp"), pytest.param(VLLM_CPU, id="vllm", marks=WITH_VLLM)]


@dataclass(frozen=True)
class Running:
    """A real server that is up, and the teacher that is asked there."""

    real: Real
    teacher: Teacher


def own_server(real: Real, folder: Path) -> Server:
    """The run's own server for a real one, as open_teacher makes it."""
    if real.own.is_embedded:
        return EmbeddedServer(gguf_of("t", embedded_model("t", real.own)), real.own.model)
    return Served("t", real.own, log_of(folder, "t"))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[IN_PROCESS, *SERVED])
async def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    real: Real = request.param
    server = own_server(real, tmp_path_factory.mktemp("server"))
    try:
        yield Running(real, at(await server.start()))
    finally:
        await server.stop()


async def test_a_plain_reply_is_text_with_its_usage_counted(running: Running, tmp_path: Path) -> None:
    async with asking(running.teacher, tmp_path) as (ask, meter, _):
        reply = await ask(request("Name one organ.", sampling=SHORT))
    assert reply.content.strip() and reply.finish_reason in ("stop", "length") and not reply.problem
    assert 10 < reply.prompt_tokens < 100 and 0 < reply.completion_tokens <= 16
    assert (meter.prompt_tokens, meter.completion_tokens) == (reply.prompt_tokens, reply.completion_tokens)


async def test_what_the_server_says_of_itself_is_kept_beside_the_reply(running: Running, tmp_path: Path) -> None:
    async with asking(running.teacher, tmp_path) as (ask, _, _):
        await ask(request("Name one organ.", sampling=SHORT))
    kept = b"".join(path.read_bytes() for path in (tmp_path / "replies").rglob("*") if path.is_file())
    assert running.real.says in kept


async def test_a_reply_obeys_its_schema(running: Running, tmp_path: Path) -> None:
    async with asking(running.teacher, tmp_path) as (ask, _, _):
        reply = await ask(request(schema=SCHEMA, sampling=Sampling(max_tokens=400, seed=7)))
    assert reply.finish_reason == "stop"
    jsonschema.validate(json.loads(reply.content), SCHEMA)


async def test_asked_one_by_one_the_same_request_gets_the_same_text(running: Running, tmp_path: Path) -> None:
    asked = [request(f"Name one organ, and why {word}.", sampling=SHORT) for word in ("it beats", "it breathes")]
    texts: list[list[str]] = []
    for number in range(2):
        async with asking(running.teacher, tmp_path / str(number)) as (ask, _, _):
            texts.append([(await ask(each)).content for each in asked])
    assert texts[0] == texts[1]


async def test_too_long_a_prompt_is_refused_in_the_servers_words_and_the_next_is_answered(
    running: Running, tmp_path: Path
) -> None:
    async with asking(running.teacher, tmp_path) as (ask, meter, _):
        with pytest.raises(GenerationError, match=r"HTTP 400.*context") as caught:
            await ask(request("word " * 5_000, sampling=SHORT))
        assert (await ask(request("Name one organ.", sampling=SHORT))).content
    assert caught.value.reason == "teacher-refused"
    assert not meter.retries


async def test_many_at_once_are_all_answered_and_a_new_start_asks_nothing_again(
    running: Running, tmp_path: Path
) -> None:
    asked = [request(f"Name organ number {number}.", sampling=SHORT) for number in range(8)]
    async with asking(running.teacher, tmp_path) as (ask, meter, _):
        replies = await asyncio.gather(*map(ask, asked))
    assert all(reply.content for reply in replies)
    assert meter.num_requests == 8 and meter.num_replayed == 0
    nobody = running.teacher.model_copy(update={"base_url": ("http://127.0.0.1:9/v1",)})
    async with asking(nobody, tmp_path) as (ask, meter, _):
        again = [await ask(each) for each in asked]
    assert again == [replace(reply, replayed=True, usd=0.0) for reply in replies]
    assert meter.num_requests == meter.num_replayed == 8


@pytest.mark.parametrize("real", SERVED)
async def test_a_served_teacher_that_is_killed_midway_comes_back_and_nothing_is_asked_twice(
    real: Real, tmp_path: Path
) -> None:
    num, log, others = 8, log_of(tmp_path, "t"), below()
    asked = [request(f"Name organ number {n}.", sampling=Sampling(max_tokens=24, seed=7)) for n in range(num)]
    async with asking(real.own.model_copy(update={"max_in_flight": 3}), tmp_path) as (ask, meter, replies):
        asks = [asyncio.create_task(ask(each)) for each in asked]
        await comes_true(lambda: len(replies) >= 3, within_s=600)
        _, *programs = [pid for pid in below() if pid not in others]  # the keeper is the first
        os.kill(programs[0], signal.SIGKILL)
        await asyncio.sleep(0.2)  # what it sent before may still be on its way to us
        num_kept, num_answered = len(replies), real.num_answered(log)
        texts = [(await each).content for each in asks]
        assert gone(programs, within_s=0.5)  # none of the first server is left
    assert below().keys() == others.keys()
    assert all(texts) and meter.num_requests == num
    assert num_answered <= num_kept + 3
    assert real.num_answered(log) == num_answered + num - num_kept
    async with asking(real.own, tmp_path) as (ask, meter, _):
        assert [(await ask(each)).content for each in asked] == texts
        assert meter.num_replayed == num and below().keys() == others.keys()
