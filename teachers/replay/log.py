"""Kept replies: every reply is on disk the moment it arrives, and answers the same request for ever."""

import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

import orjson

from schemas.ask import Reply, Request, Turn
from schemas.errors import CorpusError
from teachers.answer import ServerFacts
from teachers.replay.writer import LineWriter

MAX_NAME: Final = 120
"""Longest folder name made of a source or a shard, in bytes; file systems end at 255."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a kept line is, in bytes."""

    path: Path
    offset: int
    length: int


def folder_of(root: Path, source: str, shard: str) -> Path:
    """Where the logs of one shard of one source are, below the corpus folder `root`."""
    return root / "replies" / _safe(source) / _safe(shard)


def _safe(name: str) -> str:
    """A folder name that is unique to `name` and means nothing to a file system."""
    safe = quote(name, safe=" ").replace(".", "%2E") or "%"
    if len(safe) <= MAX_NAME:
        return safe
    return f"{safe[: MAX_NAME - 17]}-{_sha256(name.encode())[:16]}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _turn(turn: Turn) -> dict[str, Any]:
    """A turn as it is logged: a frame is named by hash, never written again."""
    frames = [{"sha256": frame.sha256, "mime": frame.mime, "num_bytes": len(frame.data)} for frame in turn.frames]
    return {"role": turn.role, "text": turn.text, "frames": frames}


def _line(key: str, request: Request, reply: Reply, server: ServerFacts) -> bytes:
    kept = {
        "content": reply.content,
        "reasoning": reply.reasoning,
        "problem": reply.problem,
        "finish_reason": reply.finish_reason,
        "model": reply.model,
        "revision": reply.revision,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
    }
    entry = {
        "key": key,
        "crc32": zlib.crc32(orjson.dumps(kept)),
        "reply": kept,
        "server": asdict(server),
        "request": {
            "role": request.role,
            "prompt_sha256": request.prompt_sha256,
            "attempt": request.attempt,
            "sampling": asdict(request.sampling),
            "schema": request.schema,
            "turns": [_turn(turn) for turn in request.turns],
        },
    }
    return orjson.dumps(entry, default=dict) + b"\n"


def _parse(line: bytes) -> tuple[str, Reply] | None:
    """The key and the reply of a line; None when it is torn, broken or fails its checksum."""
    try:
        entry = orjson.loads(line)
        kept, key = entry["reply"], entry["key"]
        if zlib.crc32(orjson.dumps(kept)) != entry["crc32"]:
            return None
        return key, Reply(key=key, replayed=True, **kept)
    except (ValueError, KeyError, TypeError):
        return None


class ReplyLog:
    """The kept replies of one shard of one source, from every run; new ones go to a file of its own.

    `num_broken` counts lines that could not be read at opening (a torn tail among them): their requests
    are asked again. No file is made before the first `put`.
    """

    def __init__(self, root: Path, source: str, shard: str) -> None:
        self.folder = folder_of(root, source, shard)
        self.num_broken = 0
        self._places: dict[str, _Place] = {}
        self._writer = LineWriter(self.folder)
        for path in sorted(self.folder.glob("*.jsonl")):
            self._index(path)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __enter__(self) -> "ReplyLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: str) -> Reply | None:
        """The kept reply to the request with this key, or None."""
        place = self._places.get(key)
        if place is None:
            return None
        with place.path.open("rb") as file:
            parsed = _parse(os.pread(file.fileno(), place.length, place.offset))
        if parsed is None or parsed[0] != key:
            raise CorpusError(f"{place.path}: changed while in use, at byte {place.offset}; run again")
        return parsed[1]

    def put(self, key: str, request: Request, reply: Reply, server: ServerFacts) -> None:
        """Keep a reply: in the file when this returns, on the disk within the writer's window.

        CorpusError when it cannot be written.
        """
        line = _line(key, request, reply, server)
        path, offset = self._writer.append(line)
        self._places[key] = _Place(path, offset, len(line))

    def close(self) -> None:
        """Bring everything to the disk; CorpusError when that fails."""
        self._writer.close()

    def _index(self, path: Path) -> None:
        """Note where each readable line of a log is; the first reply to a request is the one that counts."""
        offset = 0
        with path.open("rb") as file:
            for line in file:
                parsed = _parse(line)
                if parsed is None:
                    self.num_broken += 1
                else:
                    self._places.setdefault(parsed[0], _Place(path, offset, len(line)))
                offset += len(line)
