"""Ways of failing that only this package tells apart, and what an error status means."""

import email.utils
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from schemas.errors import GenerationError, PipelineError, TeacherError, TransientError

NONSENSE: Final = "nonsense-reply"
"""The reason of a reject whose response was a success and yet held no usable chat completion."""

REFUSED: Final = "teacher-refused"
"""The reason of a reject whose request the server will never answer."""

FAILED: Final = "teacher-failed"
"""The reason of a reject whose request failed at every try while others were answered."""

OVERSIZED: Final = "oversized-reply"
"""The reason of a reject whose response was larger than anything that is read."""

NO_CONTENT: Final = "no-content"
"""The problem of a kept reply that is a chat completion without text."""

REFUSED_STATUSES: Final = frozenset({400, 413, 422})
"""They refuse this one request and say nothing of the next."""

NO_MONEY: Final = ("insufficient_quota", "exceeded your current quota")
"""In a 429's words, they mean that no request will be answered until somebody pays."""

BUSY_STATUSES: Final = frozenset({429, 502, 503})
"""They ask everyone to come back later."""

TRANSIENT_STATUSES: Final = frozenset({408, 409, 425, 429})
"""Client errors after which the same request may succeed; every 5xx is one too."""

ADVICE: Final = {
    401: "check the key in the variable that api_key_env names",
    402: "the account behind the key cannot pay",
    403: "the key may not use this model or endpoint",
    404: "check model, and that base_url ends where /chat/completions follows (most end in /v1)",
}
"""What to do about a status that no request will get past."""


MAX_WISH_S: Final = 120.0
"""The longest Retry-After that is obeyed, in seconds; a longer wish is cut to it."""


def public_url(url: str) -> str:
    """A URL without user, password and query, as it may be shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class UnreachableError(TransientError):
    """Nothing answers at the endpoint."""


class BusyError(TransientError):
    """The endpoint, or what stands before it, asks everyone to come back later.

    `is_of_gateway` when it may be this request that broke what is behind the gateway (502, 503).
    """

    def __init__(self, message: str, retry_after: float | None = None, *, is_of_gateway: bool = False) -> None:
        super().__init__(message, retry_after)
        self.is_of_gateway = is_of_gateway


class LateError(TransientError):
    """The endpoint did not answer in time: it may have more to do than it can."""


class NotACompletion(GenerationError):  # a kind of reply, not a kind of error
    """The response is no chat completion at all: something between us and the server may have answered."""

    def __init__(self, detail: str) -> None:
        super().__init__(NONSENSE, detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive a process pool."""
        return type(self), (self.detail,)


def refusal(where: str, status: int, words: str, headers: Mapping[str, str]) -> PipelineError:
    """What an error response means for this request and for the next; `words` are the server's own."""
    said = f"{where} answered HTTP {status}: {words or '(no words)'}"
    if status == 429 and any(sign in words for sign in NO_MONEY):
        return TeacherError(f"{said}; {ADVICE[402]}")
    if status in REFUSED_STATUSES:
        return GenerationError(REFUSED, f"HTTP {status}: {words}")
    if status in BUSY_STATUSES:
        return BusyError(said, retry_after(headers), is_of_gateway=status != 429)
    if status == 504:
        return LateError(said, retry_after(headers))
    if status in TRANSIENT_STATUSES or status >= 500:
        return TransientError(said, retry_after(headers))
    if 300 <= status < 400:
        return TeacherError(f"{said}; redirects are not followed: give the final URL as base_url")
    return TeacherError(f"{said}; {ADVICE.get(status, 'check base_url and model')}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The server's wish in seconds from now, given as seconds or as a date; None when it gives none.

    A date counts from the response's own Date, so that no clock but the server's is asked.
    """
    value = headers.get("Retry-After", "")
    try:
        return max(0.0, min(MAX_WISH_S, float(value)))
    except ValueError:
        pass
    wished, now = _seconds(value), _seconds(headers.get("Date", ""))
    if wished is None:
        return None
    return max(0.0, min(MAX_WISH_S, wished - (time.time() if now is None else now)))


def _seconds(date: str) -> float | None:
    """An HTTP date as seconds since 1970; None when it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
