"""The name of a request: a hash of what decides its reply."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from schemas.ask import Request, Turn
from schemas.errors import GenerationError

KEY_VERSION: Final = 2
"""Changes when the meaning of a key does; keys of another version answer nothing."""

NOT_UNICODE: Final = "not-unicode"
"""The reason of a request whose text has lone surrogates, which no JSON can carry."""


def request_key(identity: Mapping[str, str], request: Request, pictures: str = "") -> str:
    """SHA-256 of what decides a reply, as 64 hex characters.

    In it: the teacher's model and revision, turns with frames by hash, sampling, schema (its key order
    too: a grammar follows it), attempt; where there are frames, also `pictures`: how they were shrunk
    ("" when they were not). Not in it: URL, the teacher's name, role, prompt file. GenerationError when
    the request's text is not Unicode.
    """
    sampling = request.sampling
    content: list[Any] = [
        KEY_VERSION,
        identity["model"],
        identity["revision"],
        [_turn(turn) for turn in request.turns],
        [sampling.max_tokens, float(sampling.temperature), float(sampling.top_p), sampling.seed],
        request.schema,
        request.attempt,
    ]
    if pictures and any(turn.frames for turn in request.turns):
        content.append(pictures)
    try:
        return hashlib.sha256(orjson.dumps(content, default=dict)).hexdigest()
    except orjson.JSONEncodeError as error:
        raise GenerationError(NOT_UNICODE, f"the request cannot be written as JSON: {error}") from None


def _turn(turn: Turn) -> list[Any]:
    if turn.frames:
        return [turn.role, turn.text, [frame.sha256 for frame in turn.frames]]
    return [turn.role, turn.text]
