import asyncio
import base64
import email.utils
import socket
import time
from typing import Any

import orjson
import pytest

from schemas.ask import Reply
from schemas.errors import GenerationError, TeacherError, TransientError
from schemas.pipeline import Teacher
from teachers.answer import ServerFacts
from teachers.failures import BusyError, UnreachableError, public_url, retry_after
from teachers.wire.client import Client
from teachers.wire.completion import body_of
from tests.support.asking import SCHEMA, frame, request, teacher
from tests.support.endpoint import Behavior, serve

KEY = "sk-very-secret-0123456789"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def complete(config: Teacher, key: str | None = None, **changes: Any) -> tuple[Reply, ServerFacts]:
    client = Client("t", config, config.base_url[0], key)
    try:
        asked = request(**changes)
        frames = [one for turn in asked.turns for one in turn.frames]
        urls = {one.sha256: f"data:image/jpeg;base64,{base64.b64encode(one.data).decode()}" for one in frames}
        answer, seconds = await client.complete(orjson.dumps(body_of(asked, config, urls)))
        assert seconds > 0
        return answer
    finally:
        await client.close()


async def test_a_completion_arrives_with_tokens_and_server_facts() -> None:
    async with serve() as endpoint:
        reply, facts = await complete(teacher(endpoint.url), schema=SCHEMA)
    assert reply.content.startswith('{"caption"')
    assert reply.prompt_tokens > 0 and reply.completion_tokens > 0
    assert (facts.model, facts.version) == ("test-model", "test-endpoint/1")
    assert facts.system_fingerprint.startswith("fp_")


async def test_pictures_reach_a_teacher_that_accepts_them() -> None:
    async with serve() as endpoint:
        await complete(teacher(endpoint.url, accepts=["text", "image"]), frames=[frame(300_000)])
        await complete(teacher(endpoint.url), frames=[frame(300_000)])
    assert [len(body) > 400_000 for body in endpoint.bodies] == [True, False]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, TransientError),
        (409, TransientError),
        (429, BusyError),
        (500, TransientError),
        (502, BusyError),
        (503, BusyError),
        (529, TransientError),
        (401, TeacherError),
        (402, TeacherError),
        (403, TeacherError),
        (404, TeacherError),
        (405, TeacherError),
        (400, GenerationError),
        (413, GenerationError),
        (422, GenerationError),
    ],
)
async def test_each_status_means_one_reaction(status: int, kind: type[Exception]) -> None:
    async with serve(Behavior(fail_first=1, fail_status=status)) as endpoint:
        with pytest.raises(kind, match=f"{status}.*the server is failing on purpose") as failed:
            await complete(teacher(endpoint.url))
    assert type(failed.value) is kind
    assert endpoint.stats.num_requests == 1


async def test_a_refusal_for_good_is_counted_as_teacher_refused() -> None:
    async with serve(Behavior(refuse="body part")) as endpoint:
        with pytest.raises(GenerationError, match="this prompt is refused for good") as failed:
            await complete(teacher(endpoint.url))
    assert failed.value.reason == "teacher-refused"


@pytest.mark.parametrize(("status", "advice"), [(401, "api_key_env"), (404, "/v1"), (402, "pay")])
async def test_an_endpoint_that_will_not_says_what_to_do(status: int, advice: str) -> None:
    async with serve(Behavior(fail_first=1, fail_status=status)) as endpoint:
        with pytest.raises(TeacherError, match=rf"teacher 't' at http://127\.0\.0\.1:\d+/v1.*{advice}"):
            await complete(teacher(endpoint.url))


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("", None)])
async def test_retry_after_is_carried(header: str, seconds: float | None) -> None:
    async with serve(Behavior(fail_first=1, fail_status=429, retry_after=header)) as endpoint:
        with pytest.raises(TransientError) as failed:
            await complete(teacher(endpoint.url))
    assert failed.value.retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    wish = retry_after({"Retry-After": email.utils.formatdate(time.time() + 60, usegmt=True)})
    assert wish is not None
    assert 50 < wish <= 60


def test_a_date_is_read_by_the_servers_own_clock() -> None:
    headers = {"Retry-After": "Fri, 01 Jan 1999 00:01:40 GMT", "Date": "Fri, 01 Jan 1999 00:00:00 GMT"}
    assert retry_after(headers) == 100.0


async def test_a_slow_server_is_given_up_after_timeout_s() -> None:
    async with serve(Behavior(hang=True)) as endpoint:
        with pytest.raises(TransientError, match=r"did not answer within timeout_s = 0\.2 s"):
            await complete(teacher(endpoint.url, timeout_s=0.2))


async def test_a_body_that_drips_cannot_outlast_timeout_s() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await asyncio.sleep(0.05)
            if writer.is_closing():
                break
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    began = time.monotonic()
    with pytest.raises(TransientError, match="timeout_s"):
        await complete(teacher(f"http://127.0.0.1:{port}/v1", timeout_s=0.3))
    assert time.monotonic() - began < 2
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"nonsense\r\n\r\n"])
async def test_a_connection_cut_short_may_be_tried_again(answer: bytes) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TransientError, match="broke off its answer") as failed:
        await complete(teacher(f"http://127.0.0.1:{port}/v1"))
    assert type(failed.value) is TransientError
    server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.localhost"])
async def test_nobody_listening_is_unreachable(host: str) -> None:
    with pytest.raises(UnreachableError, match=f"teacher 't' at http://{host}:.*cannot be reached"):
        await complete(teacher(f"http://{host}:{free_port()}/v1"))


async def test_a_redirect_is_not_followed_so_no_record_goes_where_policy_has_not_looked() -> None:
    async with serve() as elsewhere, serve(Behavior(redirect=f"{elsewhere.url}/chat/completions")) as endpoint:
        with pytest.raises(TeacherError, match="give the final URL as base_url"):
            await complete(teacher(endpoint.url))
    assert elsewhere.stats.num_requests == 0


async def test_a_local_teachers_records_go_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as proxy, serve() as endpoint:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        await complete(teacher(endpoint.url))
    assert endpoint.stats.num_answered == 1


async def test_the_key_is_sent_and_nothing_else_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(variable, "of-another-account")
    async with serve() as endpoint:
        await complete(teacher(endpoint.url), KEY)
        await complete(teacher(endpoint.url))
    tokens = [headers.get("Authorization") for headers in endpoint.headers]
    assert tokens == [f"Bearer {KEY}", None]
    assert "of-another-account" not in str(endpoint.headers)


async def test_a_server_that_repeats_the_key_does_not_leak_it() -> None:
    async with serve(Behavior(key="another")) as endpoint:
        client = Client("t", teacher(endpoint.url), endpoint.url, KEY)
        with pytest.raises(TeacherError) as failed:
            await client.complete(b"{}")
        await client.close()
    shown = f"{failed.value!r} {failed.value} {client!r} {client.where}"
    assert "Incorrect API key provided: ***" in shown
    assert KEY not in shown


def test_a_url_is_shown_without_its_secrets() -> None:
    assert public_url("https://user:pass@api.example.org:8/v1?key=1#x") == "https://api.example.org:8/v1"
