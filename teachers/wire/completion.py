"""The JSON of a chat completion, both ways: a request as its body, a response's bytes as a reply."""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from schemas.ask import Reply, Request, Turn
from schemas.pipeline import Teacher
from teachers.answer import Answer, ServerFacts
from teachers.failures import NotACompletion
from teachers.wire.structured import instruction
from teachers.wire.thinking import split

MAX_WORDS: Final = 300
"""How much of a server's own words an error carries, in characters."""


def body_of(request: Request, config: Teacher, urls: Mapping[str, str]) -> dict[str, Any]:
    """The chat completion that asks `request` (`openai.types.chat.CompletionCreateParams`), ready for JSON.

    Frames go before their turn's text, by the URLs that `urls` has for their hashes; a teacher that does
    not accept "image" gets the text alone. A schema goes as a strict `json_schema` response format, or
    as words in the last user turn where the server holds no reply to a schema.
    """
    sees = "image" in config.accepts
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": config.model,
        "messages": [_message(turn, urls if sees else {}) for turn in request.turns],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if request.schema is None:
        return body
    if config.structured == "prompt":
        _add_words(body["messages"], instruction(request.schema))
    else:
        schema = {"name": "reply", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def read_completion(content: bytes, reasoning: str, version: str = "") -> Answer:
    """The reply in a response's body; `version` is what the server's headers say of it.

    `reasoning` says where the teacher's thinking is (`Teacher.reasoning`). A completion without text was
    paid for: it is a reply with a `problem`. Raises NotACompletion when this is no chat completion.
    """
    try:
        data: Any = orjson.loads(content)
        choice: Any = data["choices"][0]
        finish = str(choice.get("finish_reason") or "")
        thought, text, problem = split(choice["message"], finish, reasoning)
        usage: Any = data.get("usage") or {}
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NotACompletion(f"not a chat completion: {shorten(content)}") from None
    facts = ServerFacts(str(data.get("model") or ""), str(data.get("system_fingerprint") or ""), version)
    return Reply(text, finish, thought, problem, prompt_tokens=tokens[0], completion_tokens=tokens[1]), facts


def error_words(content: bytes) -> str:
    """What a server says in an error response, on one line and shortened."""
    try:
        message: Any = orjson.loads(content)
    except ValueError:
        return shorten(content)
    for key in ("error", "message"):
        if isinstance(message, dict):
            message = cast(dict[str, Any], message).get(key, message)
    return shorten(message if isinstance(message, str) else orjson.dumps(message))


def shorten(words: str | bytes) -> str:
    """At most MAX_WORDS characters of `words`, on one line."""
    text = words if isinstance(words, str) else words[: 4 * MAX_WORDS].decode(errors="replace")
    line = " ".join(text.split())
    return line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 3] + "..."


def _message(turn: Turn, urls: Mapping[str, str]) -> dict[str, Any]:
    if not (urls and turn.frames):
        return {"role": turn.role, "content": turn.text}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": urls[frame.sha256]}} for frame in turn.frames
    ]
    return {"role": turn.role, "content": [*parts, {"type": "text", "text": turn.text}]}


def _add_words(messages: list[dict[str, Any]], words: str) -> None:
    """Put `words` at the end of the last user turn."""
    last = next(message for message in reversed(messages) if message["role"] == "user")
    if isinstance(last["content"], str):
        last["content"] += f"\n\n{words}"
    else:
        last["content"][-1]["text"] += f"\n\n{words}"
