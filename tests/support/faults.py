"""Every fault that an endpoint is put through, and what each must come to: docs/faults.md is this table."""

from dataclasses import dataclass

from tests.support import breaking
from tests.support.breaking import Script, status

AT_ONCE = "stops at once"
WITH_PATIENCE = "stops after patience_s"
GOES_ON = "goes on"
IN_A_ROW = "stops when many in a row fail"


@dataclass(frozen=True)
class Fault:
    """One fault: `name` is its marker in a prompt, `[fault:NAME]`.

    `record` is what becomes of a record whose request always meets it while others are answered: "sample",
    the reason of its reject, or "" when none is made and the request stays to be asked by the next run. `tries`
    is how often that request is sent with max_retries = 2 (None: as long as patience lasts). `run` is what
    becomes of the run; `words` is what the person reads, with ... for what differs from run to run.
    `is_paid` says that the server charges for the answer; `script` is None where no server is needed.
    """

    name: str
    meaning: str
    script: Script | None
    record: str
    tries: int | None
    run: str
    words: str = ""
    is_paid: bool = False


def _failed(name: str, meaning: str, script: Script, words: str) -> Fault:
    """The server fails at this request and may not fail at it again."""
    return Fault(name, meaning, script, "teacher-failed", 3, IN_A_ROW, words)


def _nonsense(name: str, meaning: str, script: Script, words: str) -> Fault:
    """A success that is no chat completion: something between us and the server may have answered."""
    return Fault(name, meaning, script, "nonsense-reply", 3, IN_A_ROW, words)


def _refused(name: str, meaning: str, script: Script, words: str) -> Fault:
    """The server will never answer this request, and says why."""
    return Fault(name, meaning, script, "teacher-refused", 1, GOES_ON, words)


def _oversized(name: str, meaning: str, script: Script) -> Fault:
    """More than anyone could have asked for."""
    return Fault(name, meaning, script, "oversized-reply", 1, GOES_ON, "sent over ... MiB for one reply")


def _busy(name: str, meaning: str, script: Script, words: str) -> Fault:
    """The server asks everyone to come back later."""
    return Fault(name, meaning, script, "", None, WITH_PATIENCE, words)


def _away(name: str, meaning: str, script: Script, words: str) -> Fault:
    """As busy; and a request that is turned away again and again while others are answered breaks the server."""
    return Fault(name, meaning, script, "teacher-failed", None, WITH_PATIENCE, words)


def _out(name: str, meaning: str, script: Script, words: str) -> Fault:
    """The server will answer nobody."""
    return Fault(name, meaning, script, "", 1, AT_ONCE, words)


TOO_LONG = "This model's maximum context length is 4096 tokens, however you requested 5012 tokens"
KEY_ADVICE = "check the key in the variable that api_key_env names"
PAY_ADVICE = "the account behind the key cannot pay"
QUOTA = "You exceeded your current quota, please check your plan and billing details"
CONTEXT = status(400, TOO_LONG, "context_length_exceeded")

FAULTS = (
    _failed("slow-headers", "no answer at all", breaking.slow_headers, "did not answer within timeout_s"),
    _failed("slow-body", "an answer that drips", breaking.slow_body, "did not answer within timeout_s"),
    _failed("hung-up", "the connection closes without a word", breaking.hung_up, "broke off its answer"),
    _failed("no-http", "something that is not HTTP", breaking.no_http, "broke off its answer"),
    _failed("truncated-body", "half of the promised body", breaking.truncated, "broke off its answer"),
    _failed("truncated-chunks", "no last chunk", breaking.truncated_chunks, "broke off its answer"),
    _failed("bad-gzip", "a body that cannot be unpacked", breaking.bad_gzip, "broke off its answer"),
    _failed("408", "the server gave up waiting", status(408, "Request timeout"), "HTTP 408: Request timeout"),
    _failed("500", "an internal error", status(500, "boom {token}"), "HTTP 500: boom ***"),
    _failed("500-wait", "with Retry-After: a day", status(500, "boom", retry_after="86400"), "HTTP 500: boom"),
    _failed("504", "a gateway gave up waiting", status(504, "Gateway timeout"), "HTTP 504: Gateway timeout"),
    _nonsense(
        "web-page", "a page (text/html) with status 200", breaking.web_page, "not a chat completion: ...It works!"
    ),
    _nonsense("invalid-utf-8", "bytes that are no text", breaking.invalid_utf8, "not a chat completion"),
    _nonsense("malformed-json", "JSON that stops in the middle", breaking.malformed, "not a chat completion"),
    _nonsense("error-in-200", "an error with status 200", breaking.error_in_success, "the provider returned an error"),
    _nonsense("empty-choices", "a completion without choices", breaking.empty_choices, "not a chat completion"),
    _oversized("oversized-body", "a body without end (64 MiB are read)", breaking.oversized),
    _oversized("oversized-length", "a promised terabyte", breaking.oversized_by_its_word),
    _oversized("gzip-bomb", "a small body that unpacks to a large one", breaking.gzip_bomb),
    Fault("mislabelled", "a sound answer as text/plain", breaking.mislabelled, "sample", 1, GOES_ON, is_paid=True),
    Fault("no-content", "content null (filter)", breaking.no_content, "no-content", 1, IN_A_ROW, is_paid=True),
    Fault("cut-off", "finish_reason = length", breaking.cut_off, "truncated", 1, GOES_ON, is_paid=True),
    _refused("400", "the prompt is longer than the context", CONTEXT, f"HTTP 400: {TOO_LONG}"),
    _refused("413", "the request is too large", status(413, "Payload too large"), "HTTP 413: Payload too large"),
    _refused("422", "a value that the server cannot take", status(422, "bad seed"), "HTTP 422: bad seed"),
    _busy("429", "too many requests", status(429, "Rate limit reached"), "HTTP 429: Rate limit reached"),
    _busy("429-wait", "with Retry-After", status(429, "Slow down", retry_after="1"), "HTTP 429: Slow down"),
    _busy("429-day", "with Retry-After: a day", status(429, "Slow", retry_after="86400"), "HTTP 429: Slow"),
    _busy("429-date", "with a date, clock a day off", breaking.rate_limited_until, "HTTP 429: Rate limit reached"),
    _away("502", "a gateway without its server", status(502, "Bad gateway"), "HTTP 502: Bad gateway"),
    _away("503", "the server is overloaded", status(503, "Overloaded"), "HTTP 503: Overloaded"),
    _out(
        "429-quota",
        "the account is spent",
        status(429, QUOTA, "insufficient_quota"),
        f"HTTP 429: {QUOTA}; {PAY_ADVICE}",
    ),
    _out(
        "401",
        "a wrong key",
        status(401, "Incorrect API key provided: {token}"),
        f"HTTP 401: Incorrect API key provided: ***; {KEY_ADVICE}",
    ),
    _out("401-long", "a wrong key, in many words", breaking.key_at_the_cut, f"HTTP 401: ...; {KEY_ADVICE}"),
    _out("402", "no credit", status(402, "Insufficient credits"), f"HTTP 402: Insufficient credits; {PAY_ADVICE}"),
    _out(
        "403",
        "a key without rights",
        status(403, "Forbidden"),
        "HTTP 403: Forbidden; the key may not use this model or endpoint",
    ),
    _out(
        "404",
        "a wrong model name",
        status(404, "No such model"),
        "HTTP 404: No such model; check model, and that base_url ends where /chat/completions follows",
    ),
    _out(
        "redirect-loop",
        "a redirect to itself",
        breaking.redirect_loop,
        "HTTP 307: ...; redirects are not followed: give the final URL as base_url",
    ),
    Fault(
        "refused",
        "nobody listens",
        None,
        "",
        None,
        WITH_PATIENCE,
        "cannot be reached: ...start it, wait for it, or check base_url",
    ),
    Fault(
        "dns",
        "the host name leads nowhere",
        None,
        "",
        None,
        WITH_PATIENCE,
        "cannot be reached: ...start it, wait for it, or check base_url",
    ),
)
