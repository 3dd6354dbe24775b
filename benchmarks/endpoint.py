"""A server that costs next to nothing: it speaks just enough HTTP to measure those who ask it.

    python benchmarks/endpoint.py [--latency-ms 200] [--refuse 0.01] [--stumble 0.3] [--cap 200]

prints its port. Replies are canned; whether a body is refused or stumbles follows from the body alone.
Only the standard library is needed; uvloop is used where there is one.
"""

import argparse
import asyncio
import json
import time
import zlib
from dataclasses import dataclass, field
from typing import cast

SENTENCE = (
    "The study was acquired with a standard protocol and is of diagnostic quality. The organ has a normal size, shape "
    "and outline, without a focal lesion, a collection or an abnormal calcification. "
)
MAX_S = 3600.0
"""A server that everybody forgot ends itself after so many seconds."""


def words(num_tokens: int) -> str:
    """Text of about `num_tokens` tokens, at three words for four tokens."""
    each = SENTENCE.split()
    return " ".join(each[index % len(each)] for index in range(num_tokens * 3 // 4))


def http(status: int, body: object, extra: str = "") -> bytes:
    """A whole response."""
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def completion(text: str, num_tokens: int) -> bytes:
    """A chat completion that says `text`."""
    usage = {"prompt_tokens": 80, "completion_tokens": num_tokens, "total_tokens": 80 + num_tokens}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench-model"}
    return http(200, {**answer, "system_fingerprint": "fp_1", "choices": [choice], "usage": usage})


@dataclass
class Server:
    """What the server does and what it has counted since the last reset."""

    latency: float
    refuse: float
    stumble: float
    cap: float
    num_tokens: int
    num_requests: int = 0
    num_ok: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    first: float = 0.0
    last: float = 0.0
    replied: float = 0.0
    allowance: float = 0.0
    at: float = 0.0
    tries: dict[int, int] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = words(self.num_tokens)
        third = len(text) // 3
        parts = {"technique": text[:third], "findings": text[third : 2 * third], "impression": text[2 * third :]}
        self.plain = completion(text, self.num_tokens)
        self.structured = completion(json.dumps(parts), self.num_tokens)
        self.errors = {
            400: http(400, {"error": {"message": "this prompt is refused for good", "type": "invalid_request_error"}}),
            429: http(429, {"error": {"message": "too many requests", "type": "rate_limit"}}, "Retry-After: 1\r\n"),
            500: http(500, {"error": {"message": "the server stumbled", "type": "server_error"}}),
        }

    def stats(self) -> bytes:
        """The counts as a response."""
        counted = {
            "requests": self.num_requests,
            "ok": self.num_ok,
            "distinct": len(self.tries),
            "distinct_ok": len(self.answers),
            "answered_twice": sum(count > 1 for count in self.answers.values()),
            "max_in_flight": self.max_in_flight,
            "seconds": self.last - self.first,
            "replied": self.replied,
        }
        return http(200, counted)

    def reset(self) -> None:
        """Forget the counts, not the bodies: what was refused once stays so, and what stumbled has."""
        self.num_requests = self.num_ok = self.max_in_flight = 0
        self.first = self.last = 0.0

    def answer(self, body: bytes) -> tuple[bytes, float]:
        """The response to a body and the seconds to wait before it."""
        now = time.monotonic()
        self.num_requests += 1
        self.first, self.last = self.first or now, now
        name = zlib.crc32(body)
        draw = (name * 2654435761 % 2**32) / 2**32
        self.tries[name] = self.tries.get(name, 0) + 1
        if self.cap and not self._allows(now):
            return self.errors[429], 0.005
        if draw < self.refuse:
            return self.errors[400], 0.005
        if draw >= 1 - self.stumble and self.tries[name] == 1:
            return self.errors[500], self.latency / 2
        self.num_ok += 1
        self.answers[name] = self.answers.get(name, 0) + 1
        return (self.structured if b'"json_schema"' in body else self.plain), self.latency

    def _allows(self, now: float) -> bool:
        """A token bucket of `cap` requests per second that holds a second's worth, and is empty at first."""
        self.allowance = min(self.cap, self.allowance + (now - (self.at or now)) * self.cap)
        self.at = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True


class Connection(asyncio.Protocol):
    """One client's connection; pipelined and split requests are both read right."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.parts: list[bytes] = []
        self.size = self.wanted = 0
        self.transport: asyncio.Transport | None = None
        self.is_last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer nobody."""
        self.transport = None

    def data_received(self, data: bytes) -> None:
        """Serve every request that is whole now."""
        self.parts.append(data)
        self.size += len(data)
        while self.size >= self.wanted and self._request():
            pass

    def _request(self) -> bool:
        """Take one whole request off the buffer; False when there is none yet."""
        buffer = b"".join(self.parts)
        self.parts = [buffer]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = buffer[:end].lower()
        length = 0
        if (at := head.find(b"content-length:")) >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        self.wanted = end + 4 + length
        if len(buffer) < self.wanted:
            return False
        body, rest = buffer[end + 4 : self.wanted], buffer[self.wanted :]
        self.parts, self.size, self.wanted = ([rest] if rest else []), len(rest), 0
        self.is_last = b"connection: close" in head
        self._serve(buffer.split(b" ", 2)[1], body)
        return bool(rest)

    def _serve(self, path: bytes, body: bytes) -> None:
        server = self.server
        if path.endswith(b"/models"):
            self._send(http(200, {"object": "list", "data": [{"id": "bench-model", "object": "model"}]}))
        elif path == b"/stats":
            self._send(server.stats())
        elif path == b"/reset":
            server.reset()
            self._send(server.stats())
        elif b'"messages": []' in body or b'"messages":[]' in body:  # curator asks nothing to learn its rate limit
            self._send(server.errors[400])
        else:
            response, delay = server.answer(body)
            server.in_flight += 1
            server.max_in_flight = max(server.max_in_flight, server.in_flight)
            self.loop.call_later(delay, self._reply, response)

    def _reply(self, response: bytes) -> None:
        self.server.in_flight -= 1
        self.server.replied = time.time()
        self._send(response)

    def _send(self, response: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(response)
            if self.is_last:
                self.transport.close()


async def serve(server: Server) -> None:
    """Serve on two loopback addresses (datatrove treats 127.0.0.1 in a way of its own) until killed."""
    loop = asyncio.get_running_loop()
    first = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=4096)
    port = first.sockets[0].getsockname()[1]
    await loop.create_server(lambda: Connection(server), "127.0.0.2", port, backlog=4096)
    print(port, flush=True)
    await asyncio.sleep(MAX_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=200.0)
    parser.add_argument("--refuse", type=float, default=0.0, help="share of bodies that get 400 on every try")
    parser.add_argument("--stumble", type=float, default=0.0, help="share of bodies that get 500 on their first try")
    parser.add_argument("--cap", type=float, default=0.0, help="requests per second; above it 429")
    parser.add_argument("--tokens", type=int, default=200)
    chosen = parser.parse_args()
    server = Server(chosen.latency_ms / 1000, chosen.refuse, chosen.stumble, chosen.cap, chosen.tokens)
    try:
        import uvloop  # pyright: ignore[reportMissingImports]

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    except ImportError:
        pass
    asyncio.run(serve(server))


if __name__ == "__main__":
    main()
