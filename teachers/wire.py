"""The JSON of a chat completion, both ways: a request as its body, a response's bytes as a reply."""

import base64
from collections.abc import Iterable
from typing import Any, Final, cast

import orjson

from schemas.ask import Reply, Request, Turn
from schemas.errors import GenerationError
from schemas.record import Frame
from teachers.answer import ServerFacts
from teachers.failures import NONSENSE, NotACompletion

MAX_WORDS: Final = 300
"""How much of a server's own words an error carries, in characters."""


def body_of(request: Request, model: str, accepts: Iterable[str]) -> dict[str, Any]:
    """The chat completion that asks `request`, ready for JSON.

    Frames go as data URLs before their turn's text; a teacher that does not accept "image" gets the
    text alone. A schema goes as a strict `json_schema` response format.
    """
    sees = "image" in accepts
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(turn, sees) for turn in request.turns],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if request.schema is not None:
        schema = {"name": "reply", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def read_completion(content: bytes) -> tuple[Reply, ServerFacts]:
    """The reply in a response's body; its `version` is left to the caller, who has the headers.

    Raises NotACompletion when this is no chat completion, GenerationError when it holds no text.
    """
    try:
        data: Any = orjson.loads(content)
        choice: Any = data["choices"][0]
        text, finish = choice["message"].get("content"), choice.get("finish_reason") or ""
        usage: Any = data.get("usage") or {}
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NotACompletion(f"not a chat completion: {shorten(content)}") from None
    if not isinstance(text, str):
        raise GenerationError(NONSENSE, f"a chat completion without text (finish_reason {finish!r})")
    facts = ServerFacts(str(data.get("model") or ""), str(data.get("system_fingerprint") or ""))
    return Reply(text, str(finish), prompt_tokens=tokens[0], completion_tokens=tokens[1]), facts


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


def _message(turn: Turn, sees: bool) -> dict[str, Any]:
    if not (sees and turn.frames):
        return {"role": turn.role, "content": turn.text}
    parts: list[dict[str, Any]] = [_picture(frame) for frame in turn.frames]
    return {"role": turn.role, "content": [*parts, {"type": "text", "text": turn.text}]}


def _picture(frame: Frame) -> dict[str, Any]:
    url = f"data:{frame.mime};base64,{base64.b64encode(frame.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
