import base64
import json

import pytest

from schemas.ask import Sampling
from schemas.errors import GenerationError
from teachers.failures import NotACompletion
from teachers.wire import body_of, error_words, read_completion
from tests.support.asking import SCHEMA, frame, request


def completion(message: object, finish: str = "stop", **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more}).encode()


def test_frames_go_as_data_urls_before_the_text() -> None:
    body = body_of(request("Describe.", frames=[frame(3, 1), frame(3, 2)]), "m", ("text", "image"))
    parts = body["messages"][1]["content"]
    urls = [f"data:image/jpeg;base64,{base64.b64encode(bytes([n]) * 3).decode()}" for n in (1, 2)]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    assert [part["image_url"]["url"] for part in parts[:2]] == urls
    assert parts[2]["text"] == "Describe."


def test_a_teacher_without_eyes_gets_the_text_alone() -> None:
    body = body_of(request("Describe.", frames=[frame()]), "m", ("text",))
    assert body["messages"][1] == {"role": "user", "content": "Describe."}
    assert len(json.dumps(body)) < 1_000


def test_sampling_and_schema_are_sent_and_a_missing_seed_is_not() -> None:
    sampling = Sampling(max_tokens=9, temperature=0.5, top_p=0.8, seed=3)
    body = body_of(request(sampling=sampling, schema=SCHEMA), "m", ("text",))
    sent = [body[name] for name in ("model", "max_tokens", "temperature", "top_p", "seed")]
    assert sent == ["m", 9, 0.5, 0.8, 3]
    assert body["response_format"]["json_schema"] == {"name": "reply", "schema": SCHEMA, "strict": True}
    plain = body_of(request(sampling=Sampling()), "m", ("text",))
    assert "seed" not in plain
    assert "response_format" not in plain


def test_a_completion_is_read_with_its_tokens_and_the_servers_facts() -> None:
    content = completion(
        {"content": "Fine."},
        "length",
        usage={"prompt_tokens": 5, "completion_tokens": 2},
        model="served",
        system_fingerprint="fp",
    )
    reply, facts = read_completion(content)
    assert (reply.content, reply.finish_reason) == ("Fine.", "length")
    assert (reply.prompt_tokens, reply.completion_tokens) == (5, 2)
    assert (facts.model, facts.system_fingerprint) == ("served", "fp")


def test_a_server_that_counts_no_tokens_is_still_understood() -> None:
    reply, _ = read_completion(completion({"content": ""}, usage=None))
    assert (reply.content, reply.prompt_tokens) == ("", 0)


@pytest.mark.parametrize(
    "content",
    [b"<html>It works</html>", b"", b"[]", b"null", b'{"choices": []}', b'{"choices": [{}]}', b"\xff\xfe"],
)
def test_what_is_no_completion_is_told_apart(content: bytes) -> None:
    with pytest.raises(NotACompletion, match="nonsense-reply: not a chat completion"):
        read_completion(content)


@pytest.mark.parametrize("message", [{"content": None}, {}, {"content": ["part"]}])
def test_a_completion_without_text_is_one_requests_nonsense(message: object) -> None:
    with pytest.raises(GenerationError, match=r"without text \(finish_reason 'length'\)") as failed:
        read_completion(completion(message, "length"))
    assert failed.value.reason == "nonsense-reply"
    assert not isinstance(failed.value, NotACompletion)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),
        (b'{"error": "too long"}', "too long"),
        (b'{"object": "error", "message": "too\\nlong"}', "too long"),
        (b'{"detail": [1]}', '{"detail":[1]}'),
        (b"<h1>Bad\n gateway</h1>", "<h1>Bad gateway</h1>"),
        (b"", ""),
    ],
)
def test_a_servers_words_are_found_in_every_common_shape(content: bytes, words: str) -> None:
    assert error_words(content) == words


def test_a_servers_words_are_shortened() -> None:
    assert len(error_words(b"x" * 100_000)) == 300
