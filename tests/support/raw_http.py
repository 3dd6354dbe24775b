"""HTTP/1.1 by hand: a server that must send wrong bytes cannot be built on one that sends right ones."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEAD = 1 << 16


@dataclass(frozen=True)
class Asked:
    """One request as it came; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the body: what makes two tries the same request."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def token(self) -> str:
        """The bearer token that the client showed."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


async def read_request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


def response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole, correct response."""
    return head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """A status line and headers, JSON unless they say otherwise."""
    named = {"Content-Type": "application/json", "Server": "faulty-endpoint/1", **headers}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in named.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
