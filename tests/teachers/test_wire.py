import json

import pytest

from schemas.ask import Sampling
from teachers.failures import NotACompletion
from teachers.wire.completion import body_of, error_words, read_completion
from tests.support.asking import SCHEMA, frame, request, teacher


def completion(message: object, finish: str = "stop", **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more}).encode()


BLIND = teacher("http://127.0.0.1:1/v1", model="m")
SEES = teacher("http://127.0.0.1:1/v1", model="m", accepts=["text", "image"])
TOLD = teacher("http://127.0.0.1:1/v1", model="m", structured="prompt")


def test_frames_go_by_their_urls_before_the_text() -> None:
    frames = [frame(3, 1), frame(3, 2)]
    urls = {one.sha256: f"file:///{one.sha256}.jpg" for one in frames}
    body = body_of(request("Describe.", frames=frames), SEES, urls)
    parts = body["messages"][1]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    assert [part["image_url"]["url"] for part in parts[:2]] == list(urls.values())
    assert parts[2]["text"] == "Describe."


def test_a_teacher_without_eyes_gets_the_text_alone() -> None:
    body = body_of(request("Describe.", frames=[frame()]), BLIND, {})
    assert body["messages"][1] == {"role": "user", "content": "Describe."}
    assert len(json.dumps(body)) < 1_000


def test_sampling_and_schema_are_sent_and_a_missing_seed_is_not() -> None:
    sampling = Sampling(max_tokens=9, temperature=0.5, top_p=0.8, seed=3)
    body = body_of(request(sampling=sampling, schema=SCHEMA), BLIND, {})
    sent = [body[name] for name in ("model", "max_tokens", "temperature", "top_p", "seed")]
    assert sent == ["m", 9, 0.5, 0.8, 3]
    assert body["response_format"]["json_schema"] == {"name": "reply", "schema": SCHEMA, "strict": True}
    plain = body_of(request(sampling=Sampling()), BLIND, {})
    assert "seed" not in plain
    assert "response_format" not in plain


def test_a_server_that_holds_nobody_to_a_schema_is_told_in_words() -> None:
    body = body_of(request("Describe.", schema=SCHEMA), TOLD, {})
    assert "response_format" not in body
    assert body["messages"][-1]["content"].startswith("Describe.\n\n") and '"caption"' in str(body["messages"][-1])


def test_a_completion_is_read_with_its_tokens_and_the_servers_facts() -> None:
    content = completion(
        {"content": "Fine."},
        "length",
        usage={"prompt_tokens": 5, "completion_tokens": 2},
        model="served",
        system_fingerprint="fp",
    )
    reply, facts = read_completion(content, "none", "vLLM")
    assert (reply.content, reply.finish_reason) == ("Fine.", "length")
    assert (reply.prompt_tokens, reply.completion_tokens) == (5, 2)
    assert (facts.model, facts.system_fingerprint, facts.version) == ("served", "fp", "vLLM")


def test_a_server_that_counts_no_tokens_is_still_understood() -> None:
    reply, _ = read_completion(completion({"content": "Yes."}, usage=None), "none")
    assert (reply.content, reply.prompt_tokens) == ("Yes.", 0)


@pytest.mark.parametrize(
    "content",
    [b"<html>It works</html>", b"", b"[]", b"null", b'{"choices": []}', b'{"choices": [{}]}', b"\xff\xfe"],
)
def test_what_is_no_completion_is_told_apart(content: bytes) -> None:
    with pytest.raises(NotACompletion, match="nonsense-reply: not a chat completion"):
        read_completion(content, "none")


@pytest.mark.parametrize("message", [{"content": None}, {}, {"content": ["part"]}, {"content": ""}])
def test_a_completion_without_text_was_paid_for_and_is_a_reply_with_a_problem(message: object) -> None:
    reply, _ = read_completion(completion(message, "length"), "none")
    assert (reply.content, reply.problem) == ("", "no-content")


def test_thinking_is_told_apart_as_the_teacher_declares() -> None:
    content = completion({"content": "<think>Hm.</think>Yes."})
    assert read_completion(content, "tags")[0].reasoning == "Hm."
    assert read_completion(content, "none")[0].content == "<think>Hm.</think>Yes."


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
