"""One chat completion over one endpoint, and what each way of failing means."""

import asyncio
import dataclasses
from typing import Any, Final

import aiohttp
import openai

from schemas.ask import Reply, Request
from schemas.errors import PipelineError, TransientError
from schemas.pipeline import Teacher
from teachers.answer import ServerFacts
from teachers.failures import UnreachableError, public_url, refusal
from teachers.policy import LOCAL, locality_of
from teachers.wire import body_of, error_words, read_completion, shorten

CONNECT_S: Final = 10.0
"""How long a connection may take to open, in seconds."""


class Client:
    """One endpoint of a teacher. `key` is None where it needs none; it is never shown.

    A local endpoint's requests go through no proxy, and no endpoint's follow a redirect: both would
    carry records where policy has not looked.
    """

    def __init__(self, name: str, config: Teacher, url: str, key: str | None) -> None:
        self.where = f"teacher {name!r} at {public_url(url)}"
        self._config = config
        self._secret = key
        timeout = openai.Timeout(config.timeout_s, connect=min(CONNECT_S, config.timeout_s))
        self._openai = openai.AsyncOpenAI(
            base_url=url,
            api_key=key or "none",
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAioHttpClient(
                trust_env=locality_of(name, config) not in LOCAL, follow_redirects=False, timeout=timeout
            ),
        )
        self._openai.organization = self._openai.project = None  # or they come from the environment
        self._create: Any = self._openai.chat.completions.with_raw_response.create

    async def complete(self, request: Request) -> tuple[Reply, ServerFacts]:
        """Ask once.

        Raises TransientError when the same request may succeed later, GenerationError when this one is
        refused or answered with nonsense, TeacherError when the endpoint will answer none.
        """
        body = body_of(request, self._config.model, self._config.accepts)
        try:
            async with asyncio.timeout(self._config.timeout_s):
                raw = await self._create(**body)
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except (openai.APIConnectionError, aiohttp.ClientError, TimeoutError) as error:
            raise self._lost(error) from None
        reply, facts = read_completion(raw.content)
        return reply, dataclasses.replace(facts, version=raw.headers.get("server", ""))

    async def close(self) -> None:
        """Close the endpoint's connections."""
        await self._openai.close()

    def _refusal(self, error: openai.APIStatusError) -> PipelineError:
        response: Any = error.response
        words = self._clean(error_words(response.content))
        return refusal(self.where, error.status_code, words, response.headers)

    def _lost(self, error: Exception) -> TransientError:
        """What a connection that gave no whole response means; the client wraps aiohttp's own word."""
        cause: BaseException = error
        while not isinstance(cause, aiohttp.ClientError | TimeoutError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            words = self._clean(str(cause)) or "the connection did not open in time"
            return UnreachableError(f"{self.where} cannot be reached: {words}")
        if isinstance(cause, TimeoutError):
            return TransientError(f"{self.where} did not answer within timeout_s = {self._config.timeout_s:g} s")
        return TransientError(f"{self.where} broke off its answer: {self._clean(str(cause))}")

    def _clean(self, words: str) -> str:
        """A server's or a library's words without our key."""
        return shorten(words.replace(self._secret, "***") if self._secret else words)
