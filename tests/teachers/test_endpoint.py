"""The test endpoint itself: what other tests rely on it for."""

import hashlib
import json
import string
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.endpoint import Behavior, serve
from tests.support.inventing import Inventor

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 80, "maxLength": 120},
        "short": {"type": "string", "maxLength": 5},
        "items": {"type": "array", "minItems": 2, "maxItems": 3, "items": {"$ref": "#/$defs/Item"}},
        "maybe": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 3, "maximum": 4}]},
    },
    "$defs": {
        "Item": {
            "type": "object",
            "properties": {"sure": {"type": "boolean"}, "grade": {"enum": ["a", "b"]}},
        }
    },
}


def body_of(text: str, schema: dict[str, Any] | None = None) -> bytes:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": text}]}
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}
    return json.dumps(body).encode()


async def post(url: str, body: bytes) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/chat/completions", data=body) as answer:
        return answer.status, await answer.read()


async def test_the_same_body_gets_the_same_bytes_from_any_server() -> None:
    answers: set[bytes] = set()
    for _ in range(2):
        async with serve() as endpoint:
            await post(endpoint.url, body_of("noise"))
            answers.add((await post(endpoint.url, body_of("Facts: modality CT")))[1])
    assert len(answers) == 1


async def test_every_answer_is_in_the_log_and_no_failure_is(tmp_path: Path) -> None:
    log, body = tmp_path / "log", body_of("Facts: chest")
    async with serve(Behavior(fail_first=1), log=log) as endpoint:
        statuses = [(await post(endpoint.url, body))[0] for _ in range(3)]
        assert statuses == [503, 200, 200]
        assert lines_of(log) == [hashlib.sha256(body).hexdigest()] * 2
        async with aiohttp.ClientSession() as session:
            seen = await (await session.get(endpoint.url.removesuffix("/v1") + "/stats")).json()
            models = await (await session.get(f"{endpoint.url}/models")).json()
    assert (seen["num_requests"], seen["num_answered"], seen["num_failed"], seen["num_distinct"]) == (3, 2, 1, 1)
    assert models["data"][0]["id"] == "test-model"


def lines_of(path: Path) -> list[str]:
    return path.read_text().split()


def test_a_schema_is_filled_validly() -> None:
    for seed in range(200):
        value = Inventor("Facts: chest, nodule.", str(seed)).value(SCHEMA)
        assert 80 <= len(value["text"]) <= 120
        assert 1 <= len(value["short"]) <= 5
        assert 2 <= len(value["items"]) <= 3
        assert all(item["sure"] in (True, False) and item["grade"] in "ab" for item in value["items"])
        assert value["maybe"] in (None, 3, 4)


@given(low=st.integers(0, 200), more=st.integers(0, 200), prompt=st.text(string.printable, max_size=80))
def test_texts_have_the_length_that_is_asked_for(low: int, more: int, prompt: str) -> None:
    text = Inventor(prompt, "seed").text({"minLength": low, "maxLength": low + more})
    assert low <= len(text) <= low + more


def test_sentences_are_made_of_the_facts() -> None:
    text = Inventor("Write a caption. Facts: echocardiogram of the ventricle", "1").sentence()
    assert "the echocardiogram" in text or "the ventricle" in text
    assert "caption" not in text


@pytest.mark.parametrize("unique", [True, False])
def test_unique_items_are_unique(unique: bool) -> None:
    schema = {"type": "array", "minItems": 3, "maxItems": 3, "uniqueItems": unique, "items": {"enum": list("abcd")}}
    values = [Inventor("x", str(seed)).value(schema) for seed in range(50)]
    assert all(len(value) == 3 for value in values)
    assert all(len(set(value)) == 3 for value in values) == unique
