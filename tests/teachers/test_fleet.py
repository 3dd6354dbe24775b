import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from schemas.ask import Reply
from schemas.errors import TeacherError
from teachers.fleet import endpoint as health
from teachers.fleet import fleet
from teachers.opening import open_teacher
from teachers.replay.log import ReplyLog
from tests.support.asking import OPEN, asking, frame, request, teacher
from tests.support.endpoint import Behavior, Endpoint, serve
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "BASE_S", 0.01)
    monkeypatch.setattr(health, "PROBE_S", 0.02)


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nothing listens on, and that a server may take later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    yield free


def seen_by(server: Endpoint) -> int:
    return server.stats.num_answered


async def test_requests_on_one_picture_go_to_one_replica(tmp_path: Path) -> None:
    async with serve() as one, serve() as two:
        config = teacher((one.url, two.url), accepts=["text", "image"])
        async with asking(config, tmp_path) as (ask, _, _):
            homes: set[tuple[bool, bool]] = set()
            for fill in range(12):
                before = seen_by(one), seen_by(two)
                for number in range(4):
                    await ask(request(f"question {number}", frames=[frame(1_000, fill)]))
                after = seen_by(one), seen_by(two)
                moved = tuple(now - then for now, then in zip(after, before, strict=True))
                assert sorted(moved) == [0, 4]
                homes.add((moved[0] == 4, moved[1] == 4))
    assert len(homes) == 2, "both replicas have pictures of their own"


async def test_a_picture_that_everybody_asks_about_is_shared_out(tmp_path: Path) -> None:
    async with serve(Behavior(latency_ms=20)) as one, serve(Behavior(latency_ms=20)) as two:
        config = teacher((one.url, two.url), accepts=["text", "image"], max_in_flight=32)
        async with asking(config, tmp_path) as (ask, _, _):
            await asyncio.gather(*(ask(request(f"question {n}", frames=[frame(1_000)])) for n in range(64)))
    assert min(seen_by(one), seen_by(two)) >= 16
    assert max(one.stats.max_in_flight, two.stats.max_in_flight) <= 1.25 * 32 / 2 + 1


async def test_a_replica_that_dies_is_drained_and_taken_in_again(tmp_path: Path, port: int) -> None:
    async with serve(Behavior(latency_ms=5)) as one:
        config = teacher((one.url, f"http://127.0.0.1:{port}/v1"), max_in_flight=8, max_retries=3)
        async with asking(config, tmp_path) as (ask, meter, _):
            async with serve(Behavior(latency_ms=5), port=port) as two:
                asks = [asyncio.create_task(ask(request(f"question {n}"))) for n in range(60)]
                await until(lambda: seen_by(two) >= 5)
            assert all(isinstance(reply, Reply) for reply in await asyncio.gather(*asks))
            assert meter.num_healthy == 1
            async with serve(port=port) as again:
                await until(lambda: meter.num_healthy == 2)
                await asyncio.gather(*(ask(request(f"another {n}")) for n in range(60)))
                assert seen_by(again) > 0


async def test_an_outage_of_all_is_waited_out_and_costs_no_request_a_try(tmp_path: Path, port: int) -> None:
    config = teacher(f"http://127.0.0.1:{port}/v1", max_retries=1, patience_s=30)
    async with asking(config, tmp_path) as (ask, meter, _):
        async with serve(port=port):
            await ask(request("first"))
        asks = [asyncio.create_task(ask(request(f"question {n}"))) for n in range(20)]
        await asyncio.sleep(0.3)
        assert meter.num_healthy == 0 and not any(one.done() for one in asks)
        async with serve(port=port) as again:
            await asyncio.gather(*asks)
            assert seen_by(again) == 20


async def test_an_outage_that_does_not_end_stops_the_run_in_one_sentence(tmp_path: Path, port: int) -> None:
    config = teacher(f"http://127.0.0.1:{port}/v1", patience_s=0.3)
    async with asking(config, tmp_path) as (ask, _, replies):
        async with serve(port=port):
            await ask(request("first"))
        outcomes = await asyncio.gather(*(ask(request(f"q {n}")) for n in range(20)), return_exceptions=True)
        assert {type(each) for each in outcomes} == {TeacherError}
        assert "cannot be reached" in str(outcomes[0]) and "running again goes on from here" in str(outcomes[0])
        assert len(replies) == 1


async def test_bytes_in_flight_have_a_ceiling_and_a_larger_request_goes_alone(tmp_path: Path) -> None:
    async with serve(Behavior(latency_ms=10)) as endpoint:
        config = teacher(endpoint.url, accepts=["text", "image"], max_in_flight=32, max_megabytes_in_flight=1)
        async with asking(config, tmp_path) as (ask, _, _):
            asks = [ask(request("?", frames=[frame(180_000, fill)])) for fill in range(16)]
            await asyncio.gather(*asks)
            assert 2 <= endpoint.stats.max_in_flight <= 4
            assert (await ask(request("?", frames=[frame(3_000_000)]))).content


async def test_whoever_began_first_goes_first_so_that_tasks_do_not_all_end_at_once(tmp_path: Path) -> None:
    ended: list[str] = []
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(serve(Behavior(latency_ms=30)))
        config = teacher(endpoint.url, max_in_flight=2)
        opened = await stack.enter_async_context(open_teacher("t", config, root=tmp_path))
        replies = stack.enter_context(ReplyLog(tmp_path, "s", "lines"))
        asks = {order: opened.ask_of(source="s", terms=OPEN, replies=replies, order=order) for order in (1, 0)}

        async def one(order: int, number: int) -> None:
            await asks[order](request(f"{order}, question {number}"))
            ended.append(f"task {order}")

        await asyncio.gather(*(one(order, number) for order in asks for number in range(8)))
    assert ended.index("task 1") == 0, "it asked first"
    assert ended[-4:] == ["task 1"] * 4, "the other went before whatever waited"


async def test_requests_per_minute_are_never_passed(tmp_path: Path) -> None:
    async with serve() as endpoint:
        config = teacher(endpoint.url, max_in_flight=64, requests_per_minute=600)
        async with asking(config, tmp_path) as (ask, _, _):
            began = time.monotonic()
            asks = [asyncio.create_task(ask(request(f"question {n}"))) for n in range(50)]
            await until(lambda: endpoint.stats.num_requests >= 33)
            seconds = time.monotonic() - began
            assert endpoint.stats.num_requests <= 30 + 9.5 * seconds + 1  # the burst of 30, then 9.5 a second
            for one in asks:
                one.cancel()


async def test_a_teacher_that_is_stopped_keeps_what_is_on_the_wire_and_sends_nothing_more(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(serve(Behavior(latency_ms=100)))
        ask, meter, replies = await stack.enter_async_context(asking(teacher(endpoint.url, max_in_flight=4), tmp_path))
        asks = [asyncio.create_task(ask(request(f"question {n}"))) for n in range(12)]
        await until(lambda: endpoint.stats.num_requests >= 4)
        ask.__self__._chain[0].stop("enough")  # type: ignore[attr-defined]
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(isinstance(each, Reply) for each in outcomes) == len(replies) == 4
        assert {str(each) for each in outcomes if isinstance(each, TeacherError)} == {"enough"}
        assert endpoint.stats.num_requests == meter.num_requests == 4


async def test_completions_without_text_are_kept_to_the_last_that_stops_the_run(tmp_path: Path) -> None:
    async with serve(Behavior(mute="question")) as endpoint:
        async with asking(teacher(endpoint.url, max_in_flight=1), tmp_path) as (ask, _, replies):
            outcomes = await asyncio.gather(*(ask(request(f"question {n}")) for n in range(9)), return_exceptions=True)
            paid = [each.problem for each in outcomes if isinstance(each, Reply)]
            assert paid == ["no-content"] * len(replies) == ["no-content"] * endpoint.stats.num_answered
        assert "answers in a row are unusable" in str(outcomes[-1])


async def test_tokens_per_minute_hold_requests_back_and_unused_ones_are_given_back(tmp_path: Path) -> None:
    async with serve() as endpoint:
        config = teacher(endpoint.url, max_in_flight=64, tokens_per_minute=20_000)
        async with asking(config, tmp_path) as (ask, meter, _):
            # each puts some 80 tokens aside: twelve fill the burst of 1,000, then 317 a second come in
            asks = [asyncio.create_task(ask(request(f"question {n}"))) for n in range(100)]
            await asyncio.sleep(0.5)
            assert 10 <= endpoint.stats.num_requests < 60
            assert meter.completion_tokens < 20_000
            for one in asks:
                one.cancel()


async def test_two_servers_that_both_call_their_model_default_share_nothing(tmp_path: Path) -> None:
    async with serve() as one, serve() as two:
        with ReplyLog(tmp_path, "s", "0") as replies:
            for name, server in (("here", one), ("there", two), ("here", two)):
                config = teacher(server.url, model="default", revision="")
                async with open_teacher(name, config, root=tmp_path) as opened:
                    await opened.ask_of(source="s", terms=OPEN, replies=replies)(request())
    assert (seen_by(one), seen_by(two)) == (1, 1)
