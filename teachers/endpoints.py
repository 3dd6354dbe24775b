"""A teacher's endpoints, opened at the first request: its own URLs, or the embedded server."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.ask import Reply, Request
from schemas.pipeline import Teacher
from teachers.answer import ServerFacts
from teachers.embedded import NUM_SLOTS, EmbeddedServer
from teachers.identity import embedded_model, gguf_of
from teachers.limits import Limits

if TYPE_CHECKING:
    from teachers.client import Client


class Endpoints:
    """The clients of one teacher behind its limits; which one is asked follows from the request's key."""

    def __init__(self, name: str, config: Teacher, key: str | None) -> None:
        self._name = name
        self._config = config
        self._key = key
        self._opening = asyncio.Lock()
        ceiling = min(config.max_in_flight, NUM_SLOTS) if config.is_embedded else config.max_in_flight
        self._limits = Limits(f"teacher {name!r}", ceiling, config.max_retries)
        self._server: EmbeddedServer | None = None
        self._clients: list[Client] = []

    async def ask(self, request: Request, key: str, may_send: Callable[[], None]) -> tuple[Reply, ServerFacts]:
        """Ask within the limits; a retry goes to the next endpoint. Raises as `Limits.call` does.

        `may_send` raises TeacherError when nothing more may be sent; it is called before every try.
        """
        await self._open()
        first = int(key[:8], 16)

        async def once(attempt: int) -> tuple[Reply, ServerFacts]:
            may_send()
            return await self._clients[(first + attempt) % len(self._clients)].complete(request)

        return await self._limits.call(once)

    def vouch(self) -> None:
        """TeacherError when no answer so far was usable."""
        self._limits.vouch()

    async def close(self) -> None:
        """Close every connection and stop the embedded server."""
        for client in self._clients:
            await client.close()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    async def _open(self) -> None:
        async with self._opening:
            if self._clients:
                return
            urls = self._config.base_url
            if self._config.is_embedded:
                urls = (await self._start_embedded(),)
            from teachers.client import Client  # brings openai: over a second of import

            self._clients = [Client(self._name, self._config, url, self._key) for url in urls]

    async def _start_embedded(self) -> str:
        model = embedded_model(self._name, self._config)
        gguf = gguf_of(self._name, model)
        self._server = await asyncio.to_thread(EmbeddedServer, gguf, self._config.model)
        return self._server.url
