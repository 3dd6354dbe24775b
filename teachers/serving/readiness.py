"""Whether a server is up: asked at /health, else at /models; and what its log says when it is not."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from schemas.errors import TeacherError

FIRST_PAUSE_S: Final = 0.05
PAUSE_S: Final = 1.0
"""A starting server is asked at growing intervals up to this one, in seconds."""

ANSWER_S: Final = 10.0
"""A health check that takes longer, in seconds, is a no: a server that loads a model may be deaf for a while."""

UNKNOWN_PATH: Final = frozenset({404, 405, 501})
"""/health is not there: the list of models tells as much."""

ASKS_FOR_A_KEY: Final = frozenset({401, 403})
"""It answers, so it is up; the key goes with requests."""

TAIL_BYTES: Final = 8_192


async def until_ready(url: str) -> None:
    """Return when the server at base URL `url` is ready."""
    pause = FIRST_PAUSE_S
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        while not await is_ready(session, url):
            await asyncio.sleep(pause)
            pause = min(PAUSE_S, 1.5 * pause)


async def is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether the server at base URL `url` says that it takes requests.

    /health first: llama.cpp lists its models while it still loads them.
    """
    status = await _status(session, f"{url.removesuffix('/v1')}/health")
    if status in UNKNOWN_PATH:
        status = await _status(session, f"{url}/models")
    return status == 200 or status in ASKS_FOR_A_KEY


async def check_nobody_listens(where: str, url: str) -> None:
    """TeacherError when something listens at `url` already: it would be taken for the server to come."""
    parts = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    except OSError:
        return
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    raise TeacherError(
        f"{where}: something listens at {url} already, perhaps the server of another run; stop it, write "
        "--port {port} in serve, or remove serve to use it as it is"
    )


def last_words(log: Path, begin: int, num_lines: int, secret: str) -> str:
    """The last lines of a log from byte `begin` on, without `secret`, and where the rest is."""
    text = ""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(begin, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-num_lines:]
    said = "\n".join(f"    {line[:400]}" for line in lines) or "    (nothing)"
    return f"the last lines of {log}:\n{said.replace(secret, '***') if secret else said}"


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    """The status of a GET; 0 when there is no answer."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0
