"""What a sound server says: a chat completion that is a pure function of the request's body."""

import json
from typing import Any

from tests.support.inventing import Inventor, prompt_of

MODELS = {"object": "list", "data": [{"id": "test-model", "object": "model"}]}


def completion(body: bytes, digest: str, *, is_mute: bool = False) -> dict[str, Any]:
    """The answer to `body`, whose SHA-256 is `digest`; without content when it is mute."""
    data = json.loads(body)
    text = None if is_mute else _text(data, digest)
    words = len(prompt_of(data).split()), len((text or "").split())
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": data.get("model", ""),
        "system_fingerprint": f"fp_{digest[:16]}",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": words[0],
            "completion_tokens": words[1],
            "total_tokens": sum(words),
        },
    }


def error(status: int, message: str, code: str = "") -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": "test", "code": code or status}}


def _text(data: dict[str, Any], digest: str) -> str:
    inventor = Inventor(prompt_of(data), digest)
    response_format = data.get("response_format") or {}
    if response_format.get("type") == "json_schema":
        return json.dumps(inventor.value(response_format["json_schema"]["schema"]), ensure_ascii=False)
    return inventor.sentences(1 + inventor.number(3))
