"""The name of a request: a hash of what decides its reply."""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from schemas.ask import Request

KEY_VERSION: Final = 1
"""Changes when the meaning of a key does; keys of another version answer nothing."""


def request_key(identity: Mapping[str, str], request: Request) -> str:
    """SHA-256 of what decides a reply, as 64 hex characters.

    In it: the teacher's model and revision, turns with frames by hash, sampling, schema (its key order
    too: a grammar follows it), attempt. Not in it: URL, the teacher's name, role, prompt file.
    """
    sampling = request.sampling
    content = [
        KEY_VERSION,
        identity["model"],
        identity["revision"],
        [[turn.role, turn.text, [frame.sha256 for frame in turn.frames]] for turn in request.turns],
        [sampling.max_tokens, float(sampling.temperature), float(sampling.top_p), sampling.seed],
        request.schema,
        request.attempt,
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":"), default=dict).encode()).hexdigest()
