import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.ask import Ask
from schemas.errors import TeacherError
from schemas.license import License
from schemas.pipeline import Teacher
from schemas.record import Access, SourceTerms
from teachers.fleet import endpoint as health
from teachers.fleet import fleet
from teachers.opening import open_teacher
from teachers.replay.log import ReplyLog
from tests.support.asking import OPEN, frame, request, teacher
from tests.support.endpoint import Behavior, serve


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "BASE_S", 0.01)
    monkeypatch.setattr(health, "PROBE_S", 0.02)


def dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@asynccontextmanager
async def asking_first(
    root: Path, first: Teacher, second: Teacher, terms: SourceTerms = OPEN, **changes: Any
) -> AsyncIterator[Ask]:
    """An `ask` of teacher "first", whose fallback is "second"."""
    config = first.model_copy(update={"fallback": ("second",)})
    with ReplyLog(root, "s", "0") as replies:
        async with open_teacher("first", config, root=root, others={"second": second}, **changes) as opened:
            yield opened.ask_of(source="s", terms=terms, replies=replies)


def other(url: str, **changes: Any) -> Teacher:
    return teacher(url, **{"model": "other-model", "revision": "2", **changes})


async def test_the_fallback_answers_for_a_teacher_that_is_away_and_the_reply_says_who_it_was(tmp_path: Path) -> None:
    async with serve() as endpoint:
        async with asking_first(tmp_path, teacher(dead_url()), other(endpoint.url)) as ask:
            replies = await asyncio.gather(*(ask(request(f"question {n}")) for n in range(10)))
        assert {(reply.teacher, reply.model, reply.revision) for reply in replies} == {("second", "other-model", "2")}
        async with asking_first(tmp_path, teacher(dead_url()), other(endpoint.url)) as ask:
            assert (await ask(request("question 0"))).replayed
    assert endpoint.stats.num_requests == 10


@pytest.mark.parametrize("status", [401, 402, 404])
async def test_the_fallback_answers_for_a_teacher_that_will_not(tmp_path: Path, status: int) -> None:
    async with (
        serve(Behavior(fail_first=999, fail_status=status)) as broken,
        serve() as endpoint,
        asking_first(tmp_path, teacher(broken.url), other(endpoint.url)) as ask,
    ):
        replies = [await ask(request(f"question {n}")) for n in range(5)]
    assert {reply.teacher for reply in replies} == {"second"}
    assert broken.stats.num_requests == 1


async def test_the_teacher_is_asked_again_once_it_is_back(tmp_path: Path) -> None:
    away = dead_url()
    first = teacher(away, patience_s=60, max_retries=6)
    async with serve() as endpoint, asking_first(tmp_path, first, other(endpoint.url)) as ask:
        assert (await ask(request("while it is away"))).teacher == "second"
        async with serve(port=int(away.rsplit(":", 1)[1].split("/")[0])):
            for number in range(500):
                if (await ask(request(f"question {number}"))).teacher == "first":
                    break
                await asyncio.sleep(0.02)
            else:
                raise AssertionError("it was never asked again")


async def test_when_nobody_answers_the_run_stops_with_the_reason(tmp_path: Path) -> None:
    async with asking_first(tmp_path, teacher(dead_url()), other(dead_url())) as ask:
        with pytest.raises(TeacherError, match="cannot be reached"):
            await ask(request())


async def test_a_fallback_that_policy_forbids_never_sees_a_byte(tmp_path: Path) -> None:
    terms = SourceTerms(License("PhysioNet", derivatives=True), Access.CREDENTIALED)
    async with serve() as endpoint:
        remote = other(endpoint.url, locality="remote")
        async with asking_first(tmp_path, teacher(dead_url()), remote, terms) as ask:
            with pytest.raises(TeacherError, match=r"teacher 'first'.*cannot be reached"):
                await ask(request())
    assert endpoint.stats.num_requests == 0


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ({}, {"frames": [frame(1_000)]}),
        ({"context_tokens": 200}, {"text": "long " * 200}),
        ({"languages": ["en"]}, {"language": "zh"}),
    ],
    ids=["vision", "context", "language"],
)
async def test_a_request_goes_to_the_first_teacher_that_is_capable_of_it(
    tmp_path: Path, first: dict[str, Any], asked: dict[str, Any]
) -> None:
    async with serve() as one, serve() as two:
        able = other(two.url, accepts=["text", "image"], context_tokens=10_000)
        async with asking_first(tmp_path, teacher(one.url, **first), able) as ask:
            assert (await ask(request("Facts."))).teacher == "first"
            assert (await ask(request(**asked))).teacher == "second"


async def test_nobody_capable_means_the_teacher_itself_is_asked(tmp_path: Path) -> None:
    async with serve() as one, serve() as two, asking_first(tmp_path, teacher(one.url), other(two.url)) as ask:
        assert (await ask(request(frames=[frame(1_000)]))).teacher == "first"


async def test_a_request_too_long_for_one_teacher_goes_to_one_with_a_longer_context(tmp_path: Path) -> None:
    refusing = Behavior(refuse="long", refusal="This model's maximum context length is 2048 tokens.")
    async with (
        serve(refusing) as one,
        serve() as two,
        asking_first(tmp_path, teacher(one.url), other(two.url, context_tokens=32_000)) as ask,
    ):
        assert (await ask(request("long"))).teacher == "second"
