"""The Files and Batches protocol of OpenAI-compatible servers, one method per call."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import aiohttp

from schemas.errors import GenerationError, PipelineError, TeacherError, TransientError
from schemas.pipeline import Teacher
from teachers.batch.lines import ENDPOINT
from teachers.failures import public_url, refusal
from teachers.policy import LOCAL, locality_of
from teachers.wire.completion import error_words, shorten
from teachers.wire.transport import CONNECT_S

if TYPE_CHECKING:
    import openai
    from openai.types import Batch

TAG: Final = "calabash_batch"
"""The name under which a batch's metadata carry the name of its journal."""

ENDED: Final = frozenset({"completed", "expired", "cancelled", "failed"})
"""The states that no batch leaves."""

SLOW_BYTES_PER_S: Final = 500_000
"""The slowest line that an upload is given time for, in bytes per second."""

CHUNK: Final = 1 << 20
"""Bytes of a result file that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is. `num_completed` is what the server says the output file holds; `codes` and
    `words` are the errors of the batch as a whole.
    """

    id: str
    status: str
    output_file_id: str
    error_file_id: str
    num_completed: int
    codes: tuple[str, ...]
    words: str


class BatchServer:
    """The batch queue of one endpoint; nothing is imported or connected before the first call.

    A local endpoint's requests go through no proxy, and no endpoint's follow a redirect. Every call raises
    TransientError when it may succeed later and TeacherError when it never will. The openai client
    never retries by itself: a second `create` would be paid twice.
    """

    def __init__(self, name: str, config: Teacher, url: str, key: str | None) -> None:
        self.where = f"teacher {name!r} at {public_url(url)}"
        self._url = url
        self._key = key
        self._timeout_s = config.timeout_s
        self._trust_env = locality_of(name, config) not in LOCAL
        self._client: openai.AsyncOpenAI | None = None

    async def upload(self, lines: BinaryIO, filename: str) -> str:
        """Send an input file, streamed; its id."""
        timeout_s = self._timeout_s + lines.seek(0, os.SEEK_END) / SLOW_BYTES_PER_S
        async with self._speaking() as client:
            content = filename, lines, "application/jsonl"
            file = await client.files.create(file=content, purpose="batch", timeout=timeout_s)
        return file.id

    async def create(self, file_id: str, window: str, tag: str) -> Progress:
        """Queue the requests of an uploaded file: from here on they are paid for."""
        async with self._speaking(file_id) as client:
            batch = await client.batches.create(
                input_file_id=file_id,
                endpoint=ENDPOINT,
                completion_window=cast(Any, window),  # the client's type knows OpenAI's own windows alone
                metadata={TAG: tag},
            )
        return _progress(batch)

    async def find(self, tag: str, file_id: str) -> Progress | None:
        """The batch that was created from this file or under this tag, if any; one that failed cost nothing."""
        async with self._speaking() as client:
            async for batch in client.batches.list(limit=100):
                is_ours = batch.input_file_id == file_id or (batch.metadata or {}).get(TAG) == tag
                if is_ours and batch.status != "failed":
                    return _progress(batch)
        return None

    async def poll(self, batch_id: str) -> Progress:
        """How far a batch is."""
        async with self._speaking() as client, asyncio.timeout(self._timeout_s):
            batch = await client.batches.retrieve(batch_id)
        return _progress(batch)

    async def download(self, file_id: str, into: BinaryIO) -> int:
        """Append a result file to `into`; the number of its lines."""
        num_lines, last = 0, b"\n"
        async with (
            self._speaking() as client,
            client.files.with_streaming_response.content(file_id) as response,
        ):
            async for chunk in response.iter_bytes(CHUNK):
                into.write(chunk)
                num_lines += chunk.count(b"\n")
                last = chunk[-1:] or last
        if last != b"\n":
            into.write(b"\n")
        return num_lines + (last != b"\n")

    async def forget(self, *file_ids: str) -> None:
        """Delete files from the server, as far as it lets us: nothing depends on it."""
        for file_id in filter(None, file_ids):
            try:
                async with self._speaking() as client:
                    await client.files.delete(file_id)
            except PipelineError:
                continue

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def clean(self, words: str) -> str:
        """A server's or a library's words without our key."""
        return words.replace(self._key, "***") if self._key else words

    @asynccontextmanager
    async def _speaking(self, new_file_id: str = "") -> "AsyncGenerator[openai.AsyncOpenAI]":
        """The client, its errors translated; a file that was just sent may not be known everywhere yet."""
        if self._client is None:
            self._client = await asyncio.to_thread(_open, self._url, self._key, self._timeout_s, self._trust_env)
        import openai

        try:
            yield self._client
        except openai.APIStatusError as error:
            response: Any = error.response
            words = shorten(self.clean(error_words(response.content)))
            if new_file_id and new_file_id in words and error.status_code in (400, 404):
                raise TransientError(f"{self.where} does not know the file it was just sent: {words}") from None
            raise self._refusal(error.status_code, words, response.headers) from None
        except Exception as error:
            if not isinstance(error, openai.APIConnectionError) and _broken(error) is None:
                raise
            words = self.clean(str(_broken(error) or error)) or "nothing came in time"
            raise TransientError(f"{self.where} gave no whole answer about its batches: {shorten(words)}") from None

    def _refusal(self, status: int, words: str, headers: Any) -> PipelineError:
        error = refusal(self.where, status, words, headers)
        if isinstance(error, GenerationError) or status == 404:
            return TeacherError(
                f"{self.where} answered HTTP {status} about a batch: {words or '(no words)'}; if it has no "
                "/files and /batches, remove the teacher's batch table to ask it online"
            )
        return error


def _open(url: str, key: str | None, timeout_s: float, trust_env: bool) -> "openai.AsyncOpenAI":
    import openai

    timeout = openai.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))  # per read or write, not in all
    http_client = openai.DefaultAioHttpClient(trust_env=trust_env, follow_redirects=False, timeout=timeout)
    client = openai.AsyncOpenAI(
        base_url=url, api_key=key or "none", max_retries=0, timeout=timeout, http_client=http_client
    )
    client.organization = client.project = None  # or they come from the environment
    return client


def _broken(error: BaseException) -> BaseException | None:
    """The connection's own error, which openai and its HTTP client wrap in theirs, or not."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, aiohttp.ClientError | TimeoutError | ConnectionError):
        link = link.__cause__
    return link


def _progress(batch: "Batch") -> Progress:
    errors = (batch.errors.data if batch.errors else None) or []
    return Progress(
        batch.id,
        batch.status,
        batch.output_file_id or "",
        batch.error_file_id or "",
        batch.request_counts.completed if batch.request_counts else 0,
        tuple(error.code or "" for error in errors),
        shorten("; ".join(error.message or "" for error in errors[:3])),
    )
