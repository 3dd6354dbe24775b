"""A deterministic OpenAI-compatible server: every reply is a pure function of the request's body.

    python -m tests.support.endpoint --port 0 --log FILE [--latency-ms N] [--fail-first K --fail-status S]

prints its base URL on the first line. `--log` gets one line, the SHA-256 of the body, per answered
request, written and flushed before the answer leaves: what a client has been given is always in it.
"""

import argparse
import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TextIO

from aiohttp import web

from tests.support.answering import MODELS, completion, error

MAX_BODY = 256 << 20


@dataclass
class Behavior:
    """How the server behaves; every field is a command-line option of the same name.

    `latency_ms` before each answer. The first `fail_first` requests get `fail_status` (with
    `retry_after` seconds if given); with `fail_first_each` the first so many tries of every distinct
    body do. Bodies that contain `refuse` get 400 with the words
    `refusal`, `explode` 500, `mute` a completion without content;
    `html` answers every request with a page; `hang` holds every request; `redirect` sends it elsewhere.
    With `key`, any other bearer token is a 401 that repeats the token. `model` refuses others with 404.
    """

    latency_ms: float = 0.0
    fail_first: int = 0
    fail_first_each: int = 0
    fail_status: int = 503
    retry_after: str = ""
    refuse: str = ""
    refusal: str = "this prompt is refused for good"
    explode: str = ""
    mute: str = ""
    html: bool = False
    hang: bool = False
    redirect: str = ""
    key: str = ""
    model: str = ""


@dataclass
class Stats:
    """What the server saw; served at /stats."""

    num_requests: int = 0
    num_answered: int = 0
    num_failed: int = 0
    num_distinct: int = 0
    max_in_flight: int = 0


@dataclass
class Endpoint:
    """The running server: its base URL, its counters, and the bodies that it answered, in order."""

    behavior: Behavior
    log: TextIO | None = None
    url: str = ""
    stats: Stats = field(default_factory=Stats)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    keep_bodies: bool = True
    in_flight: int = 0
    tries: dict[str, int] = field(default_factory=dict)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        body = await request.read()
        self.stats.num_requests += 1
        self.in_flight += 1
        self.stats.max_in_flight = max(self.stats.max_in_flight, self.in_flight)
        try:
            if self.keep_bodies:
                self.headers.append(dict(request.headers))
            await asyncio.sleep(3600 if self.behavior.hang else self.behavior.latency_ms / 1000)
            digest = hashlib.sha256(body).hexdigest()
            fault = self._fault(request, body, digest)
            if fault is not None:
                self.stats.num_failed += 1
                return fault
            return self._answer(body, digest)
        finally:
            self.in_flight -= 1

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models."""
        return web.json_response(MODELS)

    async def health(self, request: web.Request) -> web.Response:
        """GET /health."""
        return web.json_response({"status": "ok"})

    async def show_stats(self, request: web.Request) -> web.Response:
        """GET /stats (and /v1/stats)."""
        return web.json_response(vars(self.stats))

    def _fault(self, request: web.Request, body: bytes, digest: str) -> web.Response | None:
        behavior = self.behavior
        self.tries[digest] = self.tries.get(digest, 0) + 1
        self.stats.num_distinct = len(self.tries)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if behavior.key and token != behavior.key:
            return _error(401, f"Incorrect API key provided: {token}")
        if behavior.redirect:
            return web.Response(status=307, headers={"Location": behavior.redirect})
        is_failing = self.stats.num_requests <= behavior.fail_first
        if is_failing or self.tries[digest] <= behavior.fail_first_each:
            headers = {"Retry-After": behavior.retry_after} if behavior.retry_after else {}
            return _error(behavior.fail_status, "the server is failing on purpose", headers)
        if behavior.html:
            page = "<!doctype html><title>Welcome</title><h1>It works!</h1>"
            return web.Response(text=page, content_type="text/html")
        return self._fault_of_body(body)

    def _fault_of_body(self, body: bytes) -> web.Response | None:
        behavior = self.behavior
        if behavior.refuse and behavior.refuse.encode() in body:
            return _error(400, behavior.refusal)
        if behavior.explode and behavior.explode.encode() in body:
            return _error(500, "this prompt always breaks the server")
        model = json.loads(body).get("model")
        if behavior.model and model != behavior.model:
            return _error(404, f"The model `{model}` does not exist.")
        return None

    def _answer(self, body: bytes, digest: str) -> web.Response:
        self.stats.num_answered += 1
        if self.log is not None:
            self.log.write(digest + "\n")
            self.log.flush()
        if self.keep_bodies:
            self.bodies.append(body)
        is_mute = bool(self.behavior.mute) and self.behavior.mute.encode() in body
        answer = completion(body, digest, is_mute=is_mute)
        return web.json_response(answer, headers={"Server": "test-endpoint/1"})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(error(status, message), status=status, headers=headers)


@asynccontextmanager
async def serve(
    behavior: Behavior | None = None, *, port: int = 0, log: Path | None = None, keep_bodies: bool = True
) -> AsyncIterator[Endpoint]:
    """The server on a loopback port (0: a free one), for as long as the block lasts."""
    endpoint = Endpoint(behavior or Behavior(), keep_bodies=keep_bodies)
    if log is not None:
        endpoint.log = log.open("a", encoding="ascii")
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/v1/chat/completions", endpoint.complete)
    app.router.add_get("/v1/models", endpoint.models)
    app.router.add_get("/health", endpoint.health)
    app.router.add_get("/stats", endpoint.show_stats)
    app.router.add_get("/v1/stats", endpoint.show_stats)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield endpoint
    finally:
        await runner.cleanup()
        if endpoint.log is not None:
            endpoint.log.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    for each in fields(Behavior):
        option = "--" + each.name.replace("_", "-")
        if each.type is bool:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=each.type, default=each.default)
    return parser.parse_args()


async def _main() -> None:
    options = vars(_options())
    port, log = options.pop("port"), options.pop("log")
    async with serve(Behavior(**options), port=port, log=log, keep_bodies=False) as endpoint:
        print(endpoint.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
