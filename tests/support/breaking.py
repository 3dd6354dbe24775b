"""How each fault is made: what goes over the wire instead of the sound answer, and when."""

import email.utils
import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.answering import error
from tests.support.raw_http import Asked, head, response

Steps = Iterator[bytes | float]
"""What a server does with one request: bytes to send and seconds to wait, in order; then it hangs up."""

Script = Callable[[Asked, bytes], Steps]
"""The steps for one request; the bytes are the body of its sound answer."""

FOR_EVER = 3600.0
"""Longer than any test waits, in seconds."""

MANY_MIB = 4
"""More than the tests let the client read (2; outside of them it is 64), in MiB."""

PAGE = "<!doctype html><title>Welcome</title><h1>It works!</h1><p>You sent {token}</p>"

CLOCK_ERROR_S = 86_400.0
"""How far the clock of `rate_limited_until` is ahead, in seconds."""


def slow_headers(asked: Asked, sound: bytes) -> Steps:
    """Not a byte."""
    yield FOR_EVER


def slow_body(asked: Asked, sound: bytes) -> Steps:
    """The body drop by drop, each of them sooner than any read times out."""
    yield head(200, {"Content-Length": str(len(sound))})
    for byte in sound:
        yield bytes([byte])
        yield 0.05


def hung_up(asked: Asked, sound: bytes) -> Steps:
    """The connection closes without a word."""
    yield 0.0


def no_http(asked: Asked, sound: bytes) -> Steps:
    """Something that is not HTTP."""
    yield b"SSH-2.0-nothing\r\n\r\n"


def truncated(asked: Asked, sound: bytes) -> Steps:
    """Half of the body that the headers promise."""
    yield head(200, {"Content-Length": str(len(sound))}) + sound[: len(sound) // 2]


def truncated_chunks(asked: Asked, sound: bytes) -> Steps:
    """A chunked body without its last chunk; what came is whole JSON."""
    yield head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%s\r\n" % (len(sound), sound)


def oversized(asked: Asked, sound: bytes) -> Steps:
    """The sound answer, then blanks without end: valid JSON for whoever holds it all in memory."""
    yield head(200, {"Connection": "close"}) + sound
    for _ in range(MANY_MIB):
        yield b" " * (1 << 20)


def oversized_by_its_word(asked: Asked, sound: bytes) -> Steps:
    """Headers that promise a terabyte."""
    yield head(200, {"Content-Length": str(1 << 40)}) + sound
    yield FOR_EVER


def gzip_bomb(asked: Asked, sound: bytes) -> Steps:
    """The sound answer and many blanks, small on the wire and large in memory."""
    packed = gzip.compress(sound + b" " * (MANY_MIB << 20), compresslevel=1)
    yield response(200, packed, {"Content-Encoding": "gzip"})


def bad_gzip(asked: Asked, sound: bytes) -> Steps:
    """A body that says it is packed and is not."""
    yield response(200, sound, {"Content-Encoding": "gzip"})


def web_page(asked: Asked, sound: bytes) -> Steps:
    """A page for people, with the key in it."""
    page = PAGE.format(token=asked.token).encode()
    yield response(200, page, {"Content-Type": "text/html; charset=utf-8"})


def mislabelled(asked: Asked, sound: bytes) -> Steps:
    """The sound answer, said to be plain text."""
    yield response(200, sound, {"Content-Type": "text/plain"})


def invalid_utf8(asked: Asked, sound: bytes) -> Steps:
    """The sound answer with bytes that are no text in its content."""
    yield response(200, sound.replace(b'"content": "', b'"content": "\xff\xfe\xc3(', 1))


def malformed(asked: Asked, sound: bytes) -> Steps:
    """JSON that stops in the middle, in a response that does not."""
    yield response(200, sound[: len(sound) // 2])


def error_in_success(asked: Asked, sound: bytes) -> Steps:
    """An error in a response that says 200, as some gateways send it."""
    yield response(200, json.dumps(error(502, "the provider returned an error")).encode())


def empty_choices(asked: Asked, sound: bytes) -> Steps:
    """A completion without choices."""
    yield _changed(sound, choices=[])


def no_content(asked: Asked, sound: bytes) -> Steps:
    """A completion whose content is null, as a filter or a tool call makes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
    yield _changed(sound, choices=[choice])


def cut_off(asked: Asked, sound: bytes) -> Steps:
    """A completion that ran into max_tokens."""
    choice = json.loads(sound)["choices"][0]
    choice["message"]["content"] = choice["message"]["content"][:20]
    yield _changed(sound, choices=[{**choice, "finish_reason": "length"}])


def status(code: int, words: str, kind: str = "", **headers: str) -> Script:
    """An error status with the server's words (`{token}` in them is the client's key)."""

    def steps(asked: Asked, sound: bytes) -> Steps:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = error(code, words.replace("{token}", asked.token), kind)
        yield response(code, json.dumps(body).encode(), named)

    return steps


def redirect_loop(asked: Asked, sound: bytes) -> Steps:
    """A redirect to itself, with the key in it."""
    yield response(307, b"", {"Location": f"{asked.path}?key={asked.token}"})


def rate_limited_until(asked: Asked, sound: bytes) -> Steps:
    """429 with a date a second from now, by a clock that is a day ahead of ours."""
    now = time.time() + CLOCK_ERROR_S
    date, until = (email.utils.formatdate(moment, usegmt=True) for moment in (now, now + 1))
    body = json.dumps(error(429, "Rate limit reached")).encode()
    yield response(429, body, {"Date": date, "Retry-After": until})


def key_at_the_cut(asked: Asked, sound: bytes) -> Steps:
    """401 in so many words that shortening them cuts the key in two."""
    words = "Incorrect API key provided: ".rjust(290, ".") + asked.token
    yield response(401, json.dumps(error(401, words)).encode())


def _changed(sound: bytes, **changes: Any) -> bytes:
    return response(200, json.dumps({**json.loads(sound), **changes}).encode())
