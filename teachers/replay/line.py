"""A kept reply: its fields, and the line of JSON with a checksum that it is on disk."""

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from schemas.ask import Reply, Request, Turn
from teachers.answer import ServerFacts

HEAD: Final = b'{"key":"'
"""How every line begins, so that its key is found without parsing it."""

REQUEST: Final = b',"request":'
"""Where the request's record begins: no JSON string can hold these bytes, since it escapes its quotes."""

SEAL: Final = b',"crc32":'
"""What stands between a line's content and the CRC-32 of that content."""


NUM_TEXTS: Final = 10
"""How many fields of `Kept`, from the first, are texts."""


class Kept(NamedTuple):
    """One kept reply. `usd` is what was paid for it then; `request` is the request's record, as JSON."""

    key: str
    flow: str
    source: str
    teacher: str
    model: str
    revision: str
    content: str
    reasoning: str
    problem: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    usd: float
    server_model: str
    system_fingerprint: str
    server_version: str
    request: bytes

    def reply(self) -> Reply:
        """The reply as a later run gets it: replayed, and free."""
        return Reply(
            self.content,
            self.finish_reason,
            self.reasoning,
            self.problem,
            self.teacher,
            self.model,
            self.revision,
            self.key,
            self.prompt_tokens,
            self.completion_tokens,
            replayed=True,
        )

    def crc32(self) -> int:
        """CRC-32 of all fields; it does not depend on how a JSON library writes a float."""
        numbers = struct.pack("<qqd", self.prompt_tokens, self.completion_tokens, self.usd)
        texts = "\0".join((*self[:NUM_TEXTS], self.server_model, self.system_fingerprint, self.server_version))
        return zlib.crc32(b"\0".join((numbers, self.request, texts.encode())))


def encode(key: str, request: Request, reply: Reply, server: ServerFacts, flow: str = "", source: str = "") -> bytes:
    """The line of a reply; TypeError when a text of it is not Unicode."""
    body = orjson.dumps(
        {
            "key": key,
            "flow": flow,
            "source": source,
            "teacher": reply.teacher,
            "model": reply.model,
            "revision": reply.revision,
            "content": reply.content,
            "reasoning": reply.reasoning,
            "problem": reply.problem,
            "finish_reason": reply.finish_reason,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "usd": reply.usd,
            "server": {
                "model": server.model,
                "system_fingerprint": server.system_fingerprint,
                "version": server.version,
            },
            "request": record_of(request),
        },
        default=dict,
    )
    return b"%b%b%d}\n" % (body[:-1], SEAL, zlib.crc32(body[:-1]))


def record_of(request: Request) -> Mapping[str, Any]:
    """A request as it is logged."""
    sampling = request.sampling
    return {
        "role": request.role,
        "language": request.language,
        "prompt_sha256": request.prompt_sha256,
        "attempt": request.attempt,
        "sampling": {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        },
        "schema": request.schema,
        "turns": [_turn(turn) for turn in request.turns],
    }


def _turn(turn: Turn) -> Mapping[str, Any]:
    """A turn as it is logged: a frame is named by hash, never written again."""
    frames = [{"sha256": frame.sha256, "mime": frame.mime, "num_bytes": len(frame.data)} for frame in turn.frames]
    return {"role": turn.role, "text": turn.text, "frames": frames}


def key_of(line: bytes) -> str | None:
    """The key of a line; None when it is torn, broken or fails its checksum."""
    body = _body(line)
    return None if body is None else body[len(HEAD) : body.index(b'"', len(HEAD))].decode()


def decode(line: bytes) -> Kept | None:
    """What a line keeps; None when it is torn, broken or fails its checksum."""
    body = _body(line)
    if body is None:
        return None
    facts, _, request = body.partition(REQUEST)
    entry: Any = orjson.loads(facts + b"}")
    server = entry.pop("server")
    return Kept(
        **entry,
        server_model=server["model"],
        system_fingerprint=server["system_fingerprint"],
        server_version=server["version"],
        request=request,
    )


def _body(line: bytes) -> bytes | None:
    """A line up to its checksum, when that is right."""
    body, _, tail = line.rpartition(SEAL)
    digits = tail.rstrip(b"\n")[:-1]
    is_whole = digits.isdigit() and int(digits) == zlib.crc32(body) and body.startswith(HEAD)
    return body if is_whole else None
