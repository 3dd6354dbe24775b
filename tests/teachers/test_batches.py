import asyncio
import base64
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from schemas.ask import Request, Sampling, Turn
from schemas.errors import GenerationError, TeacherError
from schemas.pipeline import Budget as Limits
from teachers.batch import batches
from teachers.batch import driving as batch_driving
from teachers.batch import gathering as batch_gathering
from teachers.batch.batches import Batches, Priced
from teachers.batch.index import sweep
from teachers.budget import Budget
from teachers.wire.completion import body_of
from tests.support.answering import completion
from tests.support.batch_asker import Asker, batching, key_of, question, teacher
from tests.support.batch_endpoint import BatchBehavior, BatchEndpoint, serve_batches

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-secret-0123456789"


def expected(index: int | str) -> str:
    """What the server says to a question, by either way."""
    body = orjson.dumps(body_of(question(index), teacher("http://localhost/v1"), {}))
    return completion(body, hashlib.sha256(body).hexdigest())["choices"][0]["message"]["content"]


async def ask(batches: Batches, indices: Sequence[int | str], *, keep: bool = True) -> list[Priced]:
    """Every question's answer, reported as kept unless told otherwise."""
    requests = [question(index) for index in indices]
    answers = await asyncio.gather(*(batches.ask(request, key_of(request)) for request in requests))
    for request in requests if keep else ():
        batches.kept(key_of(request))
    return answers


async def outcome(waiting: Awaitable[Priced]) -> Any:
    """The text, or the error."""
    try:
        return (await waiting)[0][0].content
    except Exception as error:
        return error


def left(folder: Path) -> list[str]:
    """What remains in the journals' folder."""
    return sorted(path.name for path in folder.iterdir() if path.name != "gate")


def check_paid_once(endpoint: BatchEndpoint, num: int) -> None:
    paid = endpoint.paid()
    assert len(paid) == len(set(paid)) == num


async def test_a_batch_answers_every_request_at_its_price_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        config = teacher(endpoint.url)
        async with batching(config, tmp_path / "journals") as opened:
            answers = await ask(opened, range(20))
        assert [reply.content for (reply, _), _ in answers] == [expected(index) for index in range(20)]
        assert {(price.input, price.output) for _, price in answers} == {(1.0, 2.0)}
        assert {facts.model for (_, facts), _ in answers} == {"test-model"}
        assert endpoint.ways() == {"batch": 20} and endpoint.calls["upload"] == endpoint.calls["create"] == 1
        assert left(tmp_path / "journals") == [] and endpoint.files() == []


async def test_a_batch_leaves_when_it_is_full_of_requests(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        config = teacher(endpoint.url, batch={"max_requests": 4, "gather_s": 60})
        async with batching(config, tmp_path / "journals") as opened:
            await ask(opened, range(8))
        assert [batch["request_counts"]["total"] for batch in endpoint.batches()] == [4, 4]


async def test_a_batch_leaves_before_its_file_is_too_large_and_what_fits_in_none_goes_online(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (batch_gathering, batches):
        monkeypatch.setattr(module, "MAX_BYTES", 1_000)
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=100)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, [*range(8), "long " * 300])
        sizes = [path.stat().st_size for path in endpoint.files()]
        assert max(sizes, default=0) <= 1_000
        assert endpoint.calls["upload"] >= 3
        assert endpoint.ways() == {"batch": 8, "online": 1}


async def test_requests_that_trickle_in_wait_for_one_batch(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        config = teacher(endpoint.url, batch={"gather_s": 0.5})
        async with batching(config, tmp_path / "journals") as opened, asyncio.TaskGroup() as group:
            for index in range(5):
                group.create_task(ask(opened, [index]))
                await asyncio.sleep(0.05)
        assert endpoint.calls["create"] == 1


async def test_twins_share_one_line(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            one, other = await asyncio.gather(ask(opened, [1]), ask(opened, [1]))
        assert one == other
        check_paid_once(endpoint, 1)


async def test_an_asker_that_is_cancelled_takes_nobody_with_it(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            first = asyncio.create_task(ask(opened, [1]))
            await asyncio.sleep(0)
            second = asyncio.create_task(ask(opened, [1]))
            await asyncio.sleep(0)
            first.cancel()
            [((reply, _), _)] = await second
        assert reply.content == expected(1)
        check_paid_once(endpoint, 1)


async def test_refused_lines_are_rejects_and_failed_lines_are_asked_online(tmp_path: Path) -> None:
    behavior = BatchBehavior(refuse="question 3 ", fail_lines="question 5 ")
    async with serve_batches(tmp_path / "server", behavior) as endpoint:
        config = teacher(endpoint.url)
        async with batching(config, tmp_path / "journals") as opened:
            asks = [opened.ask(question(index), key_of(question(index))) for index in range(8)]
            priced = await asyncio.gather(*asks, return_exceptions=True)
            for index in range(8):
                opened.kept(key_of(question(index)))
        refused = priced[3]
        assert isinstance(refused, GenerationError) and refused.reason == "teacher-refused"
        assert "HTTP 400: this prompt is refused for good" in refused.detail
        prices = [one[1] for one in priced if not isinstance(one, BaseException)]
        assert prices.count(config.price) == 1
        assert endpoint.ways() == {"batch": 6, "online": 1}
        assert endpoint.calls["online"] == 1 and left(tmp_path / "journals") == []


async def test_what_an_expired_batch_answered_is_used_and_the_rest_goes_online(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(expire_after=6)) as endpoint:
        notes: list[str] = []
        async with batching(teacher(endpoint.url), tmp_path / "journals", notes=notes) as opened:
            answers = await ask(opened, range(10))
        assert [reply.content for (reply, _), _ in answers] == [expected(index) for index in range(10)]
        assert endpoint.ways() == {"batch": 6, "online": 4}
        check_paid_once(endpoint, 10)
        assert len(notes) == 1 and "expired" in notes[0] and "full price" in notes[0]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_batch_that_ends_badly_is_finished_online(tmp_path: Path, status: str) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=1e6)) as endpoint:
        if status == "failed":
            endpoint.behavior.complete_ms, endpoint.behavior.end_as = 0, "failed"
        notes: list[str] = []
        async with batching(teacher(endpoint.url), tmp_path / "journals", notes=notes) as opened:
            asking = asyncio.create_task(ask(opened, range(3)))
            await endpoint.polled.wait()
            if status == "cancelled":
                await cancel(endpoint, endpoint.batches()[0]["id"])
            await asking
        assert endpoint.ways() == {"online": 3}
        assert status in notes[0] and ("no good" in notes[0] or status == "cancelled")


async def cancel(endpoint: BatchEndpoint, batch_id: str) -> None:
    async with aiohttp.ClientSession() as session:
        await session.post(f"{endpoint.url}/batches/{batch_id}/cancel")


async def test_a_full_queue_is_waited_for_with_the_file_that_is_there(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(num_full=2)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, range(3))
        assert endpoint.calls["upload"] == 1 and endpoint.calls["create"] == 3
        assert endpoint.ways() == {"batch": 3}


async def test_a_queue_that_stays_full_sends_everyone_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_driving, "NUM_SUBMITS", 2)
    async with serve_batches(tmp_path / "server", BatchBehavior(num_full=100)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, range(3))
        assert endpoint.calls["create"] == 2 and endpoint.ways() == {"online": 3}


@pytest.mark.parametrize("point", ["upload", "create", "created", "poll", "content"])
async def test_faults_of_the_server_are_ridden_out_and_paid_once(tmp_path: Path, point: str) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        endpoint.behavior.failing[point] = 2
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            answers = await ask(opened, range(10))
        assert [reply.content for (reply, _), _ in answers] == [expected(index) for index in range(10)]
        assert endpoint.ways() == {"batch": 10} and len(endpoint.batches()) == 1
        check_paid_once(endpoint, 10)


async def test_a_create_whose_answer_was_lost_is_found_on_a_later_page_of_the_list(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        endpoint.behavior.failing["created"] = 1
        for number in range(5):  # other people's, newer than ours: ids are numbered from the count
            batch = {"id": f"batch_x{number}", "object": "batch", "created_at": 100 + number, "status": "completed"}
            others = {"input_file_id": "file-other", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
            path = tmp_path / "server" / "batches" / f"{batch['id']}.json"
            path.write_text(json.dumps({**batch, **others, "metadata": None}))
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, range(3))
        assert endpoint.calls["create"] == 1 and endpoint.calls["list"] >= 3
        check_paid_once(endpoint, 3)


async def test_a_result_file_that_lacks_lines_is_read_again(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(num_cut=1)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, range(10))
        assert endpoint.calls["content"] == 2 and endpoint.ways() == {"batch": 10}


async def test_a_server_that_stays_away_stops_the_run_and_its_batch_is_found_later(tmp_path: Path) -> None:
    behavior = BatchBehavior(complete_ms=300)
    async with serve_batches(tmp_path / "server", behavior) as endpoint:
        endpoint.behavior.failing["poll"] = 10**6
        async with batching(teacher(endpoint.url, patience_s=0.1), tmp_path / "journals") as opened:
            with pytest.raises(TeacherError, match="running again finds them"):
                await ask(opened, range(3))
        endpoint.behavior.failing["poll"] = 0
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, range(3))
        check_paid_once(endpoint, 3)


async def test_a_server_without_batches_is_said_to_be_one(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(has_batches=False)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            with pytest.raises(TeacherError, match="remove the teacher's batch table to ask it online"):
                await ask(opened, range(3))
        assert left(tmp_path / "journals") == []


async def test_a_batch_that_the_server_lost_is_not_paid_again_in_silence(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=1e6)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            asking = asyncio.create_task(ask(opened, range(3)))
            await endpoint.polled.wait()
            for path in (tmp_path / "server" / "batches").iterdir():
                path.unlink()
            with pytest.raises(TeacherError, match=r"remembered in .*json: without that file"):
                await asking
        assert endpoint.paid() == []


async def test_the_key_is_sent_and_appears_nowhere(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    async with serve_batches(tmp_path / "server", BatchBehavior(key=SECRET, complete_ms=1e6)) as endpoint:
        async with batching(teacher(endpoint.url), journals, key=SECRET) as opened:
            asking = asyncio.create_task(ask(opened, range(3)))
            await endpoint.polled.wait()
            asking.cancel()
        assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {SECRET}"}
        assert left(journals)
        assert not [path for path in journals.iterdir() if SECRET.encode() in path.read_bytes()]
        async with batching(teacher(endpoint.url), journals, key=f"{SECRET}-wrong") as opened:
            error = await outcome(opened.ask(question(7), key_of(question(7))))
        assert isinstance(error, TeacherError) and "401" in str(error) and SECRET not in str(error)


async def test_a_local_endpoint_is_asked_through_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with serve_batches(tmp_path / "server") as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            await ask(opened, range(2))
        check_paid_once(endpoint, 2)


async def test_results_nobody_asked_for_wait_for_who_does(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=200)) as endpoint:
        async with batching(teacher(endpoint.url), journals) as opened:
            asking = asyncio.create_task(ask(opened, range(10)))
            await endpoint.polled.wait()
            asking.cancel()
        async with batching(teacher(endpoint.url), journals) as opened:
            await ask(opened, range(4))
        assert left(journals) and endpoint.files() == []
        num_calls = endpoint.calls.total()
        async with batching(teacher(endpoint.url), journals) as opened:
            answers = await ask(opened, range(4, 10))
        assert [reply.content for (reply, _), _ in answers] == [expected(index) for index in range(4, 10)]
        assert endpoint.calls.total() == num_calls
        check_paid_once(endpoint, 10)


async def test_a_reply_that_was_not_kept_is_found_again_for_nothing(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server") as endpoint:
        for keep in (False, False, True):
            async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
                await ask(opened, range(5), keep=keep)
        check_paid_once(endpoint, 5)
        assert left(tmp_path / "journals") == []


async def test_batches_whose_answers_are_all_kept_are_swept_away_and_no_others(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    async with serve_batches(tmp_path / "server", BatchBehavior(refuse="question 2 ")) as endpoint:
        async with batching(teacher(endpoint.url), journals) as opened:
            await asyncio.gather(*(outcome(opened.ask(question(i), key_of(question(i)))) for i in range(3)))
            kept = {key_of(question(0))}
            assert sweep(journals, kept.__contains__) == 0
            kept.add(key_of(question(1)))
            assert sweep(journals, kept.__contains__) == 0  # somebody attends
        assert sweep(journals, kept.__contains__) == 1
    assert left(journals) == []


async def test_late_askers_of_a_batch_that_runs_get_its_results(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=200)) as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            asking = asyncio.create_task(ask(opened, range(500), keep=False))
            await asyncio.sleep(0.1)
            repeated = [ask(opened, [random.Random(index).randrange(500)], keep=False) for index in range(50)]
            await asyncio.gather(asking, *repeated)
            for index in range(0, 500, 7):
                await ask(opened, [index], keep=False)
        check_paid_once(endpoint, 500)


async def test_another_endpoints_running_batch_is_none_of_ours(tmp_path: Path) -> None:
    async with (
        serve_batches(tmp_path / "one", BatchBehavior(complete_ms=1e6)) as one,
        serve_batches(tmp_path / "two") as two,
    ):
        async with batching(teacher(one.url), tmp_path / "journals") as opened:
            asking = asyncio.create_task(ask(opened, range(3)))
            await one.polled.wait()
            asking.cancel()
        async with batching(teacher(two.url), tmp_path / "journals") as opened:
            await ask(opened, range(3))
        check_paid_once(two, 3)


async def test_the_server_may_be_restarted_while_a_batch_runs(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=1e6)) as endpoint:
            opened = await stack.enter_async_context(batching(teacher(endpoint.url), tmp_path / "journals"))
            asking = asyncio.create_task(ask(opened, range(3)))
            await endpoint.polled.wait()
            port = int(endpoint.url.split(":")[2].split("/")[0])
        async with serve_batches(tmp_path / "server", port=port) as endpoint:
            await asking
            check_paid_once(endpoint, 3)


async def test_frames_travel_inside_the_batch(tmp_path: Path) -> None:
    pixels = base64.b64encode(b"no picture").decode()

    async def body(request: Request) -> bytes:
        parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixels}"}}]
        return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]})

    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=1e6)) as endpoint:
        config = teacher(endpoint.url)
        parts = batches.BatchParts(lambda request, key: asyncio.sleep(0), body, Budget())  # type: ignore[arg-type]
        opened = Batches("t", config, endpoint.url, None, tmp_path / "journals", parts)
        request = Request("generate", (Turn("user", "look"),), Sampling())
        asking = asyncio.create_task(opened.ask(request, "a" * 64))
        await endpoint.polled.wait()
        [sent] = [orjson.loads(path.read_bytes()) for path in endpoint.files()]
        asking.cancel()
        await opened.close()
    assert sent["custom_id"] == "a" * 64 and sent["url"] == "/v1/chat/completions" and sent["method"] == "POST"
    assert pixels in sent["body"]["messages"][0]["content"][0]["image_url"]["url"]


async def test_the_budget_is_spent_once_and_at_the_batchs_price(tmp_path: Path) -> None:
    budget = Budget(Limits(usd=1.0))
    async with (
        serve_batches(tmp_path / "server", BatchBehavior(fail_lines="question 0 ")) as endpoint,
        batching(teacher(endpoint.url), tmp_path / "journals", budget=budget) as opened,
    ):
        answers = await ask(opened, range(5))
    batched = [(reply, price) for (reply, _), price in answers[1:]]
    usd = sum(reply.prompt_tokens * 1e-6 + reply.completion_tokens * 2e-6 for reply, _ in batched)
    assert budget.spent.requests == 4  # the fifth went online, which minds the budget itself
    assert budget.spent.usd == pytest.approx(usd)
    assert budget.try_reserve(budget.spent._replace(usd=0.99))


async def test_a_spent_budget_stops_before_anything_is_sent(tmp_path: Path) -> None:
    budget = Budget(Limits(requests=3))
    async with serve_batches(tmp_path / "server") as endpoint:
        async with batching(teacher(endpoint.url), tmp_path / "journals", budget=budget) as opened:
            outcomes = await asyncio.gather(*(outcome(opened.ask(question(i), key_of(question(i)))) for i in range(5)))
        assert sum(isinstance(one, TeacherError) for one in outcomes) == 2
        check_paid_once(endpoint, 3)


def check_texts(texts: dict[int, str], indices: range) -> None:
    assert texts == {index: expected(index) for index in indices}


@pytest.mark.parametrize("point", ["upload", "create", "created", "poll", "content"])
async def test_after_kill_nine_at_each_step_nothing_is_paid_twice(tmp_path: Path, point: str) -> None:
    behavior = BatchBehavior(hold=point)
    async with serve_batches(tmp_path / "server", behavior) as endpoint:
        asker = Asker(endpoint.url, tmp_path / "journals", range(30))
        async with asyncio.timeout(60):
            await endpoint.held.wait()
        await asker.kill()
        behavior.hold = ""
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            answers = await ask(opened, range(30))
        assert [reply.content for (reply, _), _ in answers] == [expected(index) for index in range(30)]
        assert {price.input for _, price in answers} == {1.0}
        check_paid_once(endpoint, 30)
        assert left(tmp_path / "journals") == [] and endpoint.ways() == {"batch": 30}


async def test_a_create_that_arrives_after_its_client_was_given_up_creates_nothing(tmp_path: Path) -> None:
    behavior = BatchBehavior(hold="create")
    async with serve_batches(tmp_path / "server", behavior) as endpoint:
        asker = Asker(endpoint.url, tmp_path / "journals", range(5))
        async with asyncio.timeout(60):
            await endpoint.held.wait()
        await asker.kill()
        behavior.hold, behavior.complete_ms = "", 300
        async with batching(teacher(endpoint.url), tmp_path / "journals") as opened:
            asking = asyncio.create_task(ask(opened, range(5)))
            await endpoint.polled.wait()
            endpoint.released.set()
            await asking
        assert len(endpoint.batches()) == 1
        check_paid_once(endpoint, 5)


async def check_kills_at_random(folder: Path, num: int, seed: int, num_kills: int, longest_s: float) -> None:
    """Kill at random moments of a run that keeps its replies, then finish: no request is paid twice."""
    moments = random.Random(seed)
    behavior = BatchBehavior(complete_ms=150, fail_lines="question 7 ")
    async with serve_batches(folder / "server", behavior) as endpoint:
        for _ in range(num_kills):
            asker = Asker(endpoint.url, folder / "journals", range(num), folder / "replies.jsonl")
            assert await asker.hear() == "asking"
            await asyncio.sleep(moments.uniform(0.0, longest_s))
            await asker.kill()
        ended = await Asker(endpoint.url, folder / "journals", range(num), folder / "replies.jsonl").end()
        check_texts(ended, range(num))
        online = endpoint.ways()["online"]
        paid = endpoint.paid()
        assert len(set(paid)) == num
        assert len(paid) - num <= online - 1  # an answer on its way online at the kill is the one loss there is
        assert endpoint.ways()["batch"] == num - 1
    sweep(folder / "journals", {key_of(question(index)) for index in range(num)}.__contains__)
    assert left(folder / "journals") == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_kills_at_random_moments_too(tmp_path: Path, seed: int) -> None:
    await check_kills_at_random(tmp_path, num=100, seed=seed, num_kills=2, longest_s=0.8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 14))
async def test_after_many_kills_at_random_moments(tmp_path: Path, seed: int) -> None:
    await check_kills_at_random(tmp_path, num=4_000, seed=seed, num_kills=6, longest_s=5.0)


async def test_two_processes_that_ask_the_same_share_one_batch(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=500)) as endpoint:
        one = Asker(endpoint.url, tmp_path / "journals", range(60), tmp_path / "one.jsonl")
        other = Asker(endpoint.url, tmp_path / "journals", range(30, 90), tmp_path / "other.jsonl")
        first, second = await asyncio.gather(one.end(), other.end())
        check_texts(first, range(60))
        check_texts(second, range(30, 90))
        check_paid_once(endpoint, 90)


async def test_a_key_that_another_sent_while_we_gathered_is_left_out_of_our_batch(tmp_path: Path) -> None:
    async with (
        serve_batches(tmp_path / "server", BatchBehavior(complete_ms=500)) as endpoint,
        batching(teacher(endpoint.url, batch={"gather_s": 0.5}), tmp_path / "journals") as slow,
        batching(teacher(endpoint.url), tmp_path / "journals") as quick,
    ):
        gathering = asyncio.create_task(ask(slow, range(10)))
        await asyncio.sleep(0.1)  # it has read the folder, and nothing was there
        await asyncio.gather(gathering, ask(quick, range(5)))
        assert sorted(batch["request_counts"]["total"] for batch in endpoint.batches()) == [5, 5]
        check_paid_once(endpoint, 10)


async def test_a_process_that_waits_takes_over_from_one_that_is_killed(tmp_path: Path) -> None:
    async with serve_batches(tmp_path / "server", BatchBehavior(complete_ms=700)) as endpoint:
        driver = Asker(endpoint.url, tmp_path / "journals", range(20))
        await endpoint.polled.wait()
        waiting = [Asker(endpoint.url, tmp_path / "journals", range(20)) for _ in range(2)]
        for asker in waiting:
            assert await asker.hear() == "asking"
        await driver.kill()
        for asker in waiting:
            check_texts(await asker.hear(), range(20))
        check_paid_once(endpoint, 20)
        assert endpoint.calls["create"] == 1


def test_nothing_of_openai_is_imported_before_a_batch_is_used() -> None:
    code = "import sys, teachers.batch.batches; sys.exit('openai' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False).returncode == 0
