"""One HTTP exchange with an endpoint: bytes out, status, headers and bytes in."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import yarl

from schemas.errors import GenerationError, TransientError
from teachers.failures import OVERSIZED, LateError, UnreachableError

CONNECT_S: Final = 10.0
"""How long a connection may take to open, in seconds."""

MAX_RESPONSE: Final = 64 << 20
"""The largest response that is read, in bytes: a hundred times the longest completion there is."""

KEEPALIVE_S: Final = 30.0
"""How long an idle connection is kept, in seconds."""

PROBE_TIMEOUT_S: Final = 5.0
"""How long a look at an endpoint's health may take, in seconds."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. `seconds` is from sending to having it."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    seconds: float


class Transport:
    """Keep-alive connections to one base URL. `key` is a bearer token or None; it is never shown.

    `where` names the endpoint in errors. Without `trust_env` no proxy is used; redirects are never
    followed: both would carry records where policy has not looked. The openai client stands on the
    same aiohttp; going under it saves three quarters of the cost of a request (`docs/log.md`).
    """

    def __init__(self, where: str, url: str, key: str | None, timeout_s: float, *, trust_env: bool) -> None:
        self._where = where
        self._url = yarl.URL(url.rstrip("/") + "/")
        self._key = key
        self._timeout_s = timeout_s
        self._trust_env = trust_env
        self._post_to: dict[str, yarl.URL] = {}
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: bytes) -> Response:
        """POST a JSON body to `path` below the base URL.

        Raises TransientError when no whole response came (UnreachableError when nothing took the
        connection), GenerationError when it is larger than MAX_RESPONSE.
        """
        url = self._post_to.get(path) or self._post_to.setdefault(path, self._url / path)
        began = time.monotonic()
        try:
            async with self._opened().post(url, data=body, allow_redirects=False) as response:
                content = await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error) from None
        return Response(response.status, response.headers, content, time.monotonic() - began)

    async def get(self, path: str) -> Response | None:
        """GET `path` below the base URL; None when there is no answer within PROBE_TIMEOUT_S."""
        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        try:
            async with self._opened().get(self._url / path, allow_redirects=False, timeout=timeout) as response:
                content = await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, GenerationError):
            return None
        return Response(response.status, response.headers, content, time.monotonic() - began)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def cleaned(self, content: bytes) -> bytes:
        """A response's body without our key: before anything is cut off, or half of the key may stay."""
        return content.replace(self._key.encode(), b"***") if self._key else content

    def clean(self, words: str) -> str:
        """A server's or a library's words without our key."""
        return words.replace(self._key, "***") if self._key else words

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connect_s = min(CONNECT_S, self._timeout_s)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=connect_s),
                headers=self._headers,
                trust_env=self._trust_env,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body; one that says no length, or lies, is cut off at the cap."""
        length = response.content_length
        if length is not None and length <= MAX_RESPONSE and "Content-Encoding" not in response.headers:
            return await response.read()
        content = bytearray()
        if length is None or length <= MAX_RESPONSE:  # a packed body may be any size
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_RESPONSE:
                    break
            else:
                return bytes(content)
        response.close()
        raise GenerationError(OVERSIZED, f"{self._where} sent over {MAX_RESPONSE >> 20} MiB for one reply")

    def _lost(self, error: Exception) -> TransientError:
        """What a connection that gave no whole response means."""
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            words = self.clean(str(error)) or "the connection did not open in time"
            return UnreachableError(f"{self._where} cannot be reached: {words}")
        if isinstance(error, TimeoutError):
            return LateError(f"{self._where} did not answer within timeout_s = {self._timeout_s:g} s")
        return TransientError(f"{self._where} broke off its answer: {self.clean(str(error)) or type(error).__name__}")
