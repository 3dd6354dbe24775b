"""A real server that goes wrong on purpose, byte for byte, and always the same way for the same request.

    python -m tests.support.faulty --port 0 --log FILE [--fault NAME] [--error-rate R] [--outage-after N] ...

prints its base URL on the first line. A prompt picks its own fault with `[fault:NAME]` (at every try) or
`[fault:NAME*K]` (at its first K tries). `--log` gets the SHA-256 of the body of every request that is
answered in full and charged for, before the answer leaves.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TextIO

from tests.support.answering import MODELS, error
from tests.support.mishaps import BY_NAME, BY_RATE_429, Chooser, Plan
from tests.support.raw_http import Asked, read_request, response


@dataclass
class Faulty:
    """The running server. `tries` and `paid` count per SHA-256 of the body, `faults` per fault's name."""

    plan: Plan
    log: TextIO | None = None
    url: str = ""
    tries: Counter[str] = field(default_factory=Counter[str])
    paid: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    bodies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    in_flight: int = 0
    max_in_flight: int = 0
    num_connections: int = 0
    is_out: bool = False

    def __post_init__(self) -> None:
        self._chooser = Chooser(self.plan)
        self._goal, self._reached = 0, asyncio.Event()
        self._port = 0
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._outage: asyncio.Task[None] | None = None

    @property
    def num_requests(self) -> int:
        """Completions that were asked for."""
        return self.tries.total()

    def num_tries(self, words: str) -> int:
        """How often the requests whose body contains `words` were sent."""
        return sum(self.tries[digest] for digest, body in self.bodies.items() if words.encode() in body)

    async def until_paid(self, num: int) -> None:
        """Wait until so many requests were answered in full."""
        self._goal = num
        if self.paid.total() < num:
            self._reached.clear()
            await self._reached.wait()

    async def listen(self, port: int = 0) -> None:
        """Start listening; 0 is a free port."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", port, backlog=4096)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1"

    async def stop(self) -> None:
        """Stop listening and break every connection off."""
        if self._server is not None:
            self._server.close()
        open_now, self._open = self._open, {}
        for task, writer in open_now.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def outage(self, seconds: float) -> None:
        """Be gone for so long, then come back at the same port."""
        self.is_out = True
        await self.stop()
        await asyncio.sleep(seconds)
        await self.listen(self._port)
        self.is_out = False

    async def until_back(self) -> None:
        """Wait until the outage of the plan is over."""
        if self._outage is not None:
            await self._outage

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.num_connections += 1
        try:
            while (asked := await read_request(reader)) is not None:
                if not await self._answer(asked, writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has left, or the server stops
        finally:
            self._open.pop(task, None)
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection goes on."""
        if asked.method != "POST":
            writer.write(self._page(asked.path))
            return True
        self.tries[asked.digest] += 1
        self.bodies[asked.digest] = asked.body
        self._maybe_outage()
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            return await self._complete(asked, writer)
        finally:
            self.in_flight -= 1

    async def _complete(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        name, steps = self._chooser.choose(asked, self.tries[asked.digest], self.in_flight)
        self.faults[name] += 1
        if name != BY_RATE_429:
            await asyncio.sleep(self.plan.latency_ms / 1000)
        is_paid = name == "" or (name in BY_NAME and BY_NAME[name].is_paid)
        if is_paid:
            self._charge(asked)
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            else:
                await asyncio.sleep(step)
        return is_paid or name.startswith(("4", "5"))

    def _charge(self, asked: Asked) -> None:
        self.paid[asked.digest] += 1
        if self._goal and self.paid.total() >= self._goal:
            self._reached.set()
        if self.log is not None:
            self.log.write(asked.digest + "\n")
            self.log.flush()

    def _maybe_outage(self) -> None:
        if self.plan.outage_s and self.num_requests == self.plan.outage_after:
            self._outage = asyncio.create_task(self.outage(self.plan.outage_s))

    def _page(self, path: str) -> bytes:
        """What GET answers: /v1/models, /health and /stats (also below /v1)."""
        place = path.partition("?")[0].removeprefix("/v1")
        pages = {"/models": MODELS, "/health": {"status": "ok"}, "/stats": self._stats()}
        if place not in pages:
            return response(404, json.dumps(error(404, f"no page {place}")).encode())
        return response(200, json.dumps(pages[place]).encode())

    def _stats(self) -> dict[str, object]:
        return {
            "num_requests": self.num_requests,
            "num_distinct": len(self.tries),
            "num_paid": self.paid.total(),
            "max_in_flight": self.max_in_flight,
            "faults": dict(self.faults),
        }


@asynccontextmanager
async def faulty(plan: Plan | None = None, *, port: int = 0, log: Path | None = None) -> AsyncIterator[Faulty]:
    """The server on a loopback port, for as long as the block lasts."""
    server = Faulty(plan or Plan())
    if log is not None:
        server.log = log.open("a", encoding="ascii")
    await server.listen(port)
    try:
        yield server
    finally:
        await server.stop()
        if server.log is not None:
            server.log.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    for each in fields(Plan):
        option = "--" + each.name.replace("_", "-")
        if each.type is bool:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=each.type, default=each.default)
    options = vars(parser.parse_args())
    port, log = options.pop("port"), options.pop("log")
    async with faulty(Plan(**options), port=port, log=log) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
