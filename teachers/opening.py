"""Opening a teacher: from a name in pipeline.toml to an `ask` that nothing gets around."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from schemas.ask import Ask, Reply, Request
from schemas.errors import ConfigError, TeacherError
from schemas.pipeline import Teacher
from schemas.record import SourceTerms
from teachers import policy
from teachers.budget import Budget, cost
from teachers.endpoints import Endpoints
from teachers.failures import public_url
from teachers.identity import identity
from teachers.meter import Meter
from teachers.replay.keys import request_key
from teachers.replay.log import ReplyLog


def key_of(name: str, config: Teacher) -> str | None:
    """The key in the variable that `api_key_env` names; ConfigError, never with the value, otherwise."""
    variable = config.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"[teachers.{name}]: api_key_env names the variable {variable}, which is not set; "
            f"export {variable}, or remove api_key_env if the endpoint needs no key"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"[teachers.{name}]: the key in {variable} has characters that no HTTP header takes; set it again"
        )
    return key


def check_urls(name: str, config: Teacher) -> None:
    """ConfigError, without a secret, for a base_url that cannot be one, holds a password, or is not used."""
    if config.is_embedded and config.base_url:
        raise ConfigError(f"[teachers.{name}]: {config.model} is started by the run; remove base_url")
    for url in config.base_url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"[teachers.{name}]: base_url {public_url(url)!r} is not an http(s) URL")
        if "@" in parts.netloc:
            raise ConfigError(
                f"[teachers.{name}]: base_url {public_url(url)!r} holds a user or password; put the key into "
                "a variable and name it with api_key_env"
            )


@asynccontextmanager
async def open_teacher(
    name: str, config: Teacher, *, budget: Budget | None = None, replay_only: bool = False
) -> AsyncGenerator["OpenTeacher"]:
    """A teacher ready to be asked, for as long as the block lasts.

    Nothing is started or connected before the first request that no kept reply answers. With
    `replay_only` such a request is a TeacherError. ConfigError when a key, a package or a locality
    claim is wrong.
    """
    check_urls(name, config)
    policy.locality_of(name, config)
    key = None if replay_only else key_of(name, config)
    endpoints = None if replay_only else Endpoints(name, config, key)
    try:
        yield OpenTeacher(name, config, endpoints, budget or Budget())
    finally:
        if endpoints is not None:
            await endpoints.close()


def kept_teacher(kept: Mapping[str, str]) -> "OpenTeacher":
    """Whoever answered once, as the replies that are kept: `kept` has name, model and revision.

    Every request that no kept reply answers is a TeacherError.
    """
    config = Teacher(model=kept["model"], locality="loopback")
    return OpenTeacher(kept["name"], config, None, Budget(), kept)


class OpenTeacher:
    """A teacher between opening and closing; `ask_of` gives each stream of records its `ask`."""

    def __init__(
        self,
        name: str,
        config: Teacher,
        endpoints: Endpoints | None,
        budget: Budget,
        known: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.identity = known or identity(name, config)
        self._endpoints = endpoints
        self.meter = Meter()
        self._budget = budget

    def vouch(self) -> None:
        """TeacherError when it has answered, and never usably: rejects of such a run must not be committed."""
        if self._endpoints is not None:
            self._endpoints.vouch()

    def ask_of(self, *, source: str, terms: SourceTerms, replies: ReplyLog) -> Ask:
        """The `ask` for records of one source: policy, replay, the wire, the log, then the meter."""
        stream = _Stream(self, source, terms, replies)
        return stream.ask

    async def fetch(self, request: Request, key: str, stream: "_Stream") -> Reply:
        """Ask the wire and keep the reply before anyone sees it."""
        if self._endpoints is None:
            raise TeacherError(
                f"teacher {self.name!r} may only replay, and no reply to request {key[:12]} of source "
                f"{stream.source!r} is kept in {stream.replies.folder}; generate it first"
            )
        answer, facts = await self._endpoints.ask(request, key, self._check_budget)
        reply = dataclasses.replace(self.stamp(answer, key), usd=cost(answer, self.config.price))
        self._budget.spend(reply.usd)
        stream.replies.put(key, request, reply, facts)
        self.meter.paid(reply)
        return reply

    def _check_budget(self) -> None:
        self._budget.check(self.name, self.config.price)

    def stamp(self, reply: Reply, key: str) -> Reply:
        """The reply with who gave it and what it answers."""
        name, model, revision = (self.identity[part] for part in ("name", "model", "revision"))
        return dataclasses.replace(reply, teacher=name, model=model, revision=revision, key=key)


class _Stream:
    """The asks of one source's records into one reply log."""

    def __init__(self, teacher: OpenTeacher, source: str, terms: SourceTerms, replies: ReplyLog) -> None:
        self.teacher = teacher
        self.source = source
        self.terms = terms
        self.replies = replies
        self._pending: dict[str, asyncio.Event] = {}

    async def ask(self, request: Request) -> Reply:
        """One reply: kept, awaited from a twin that is on its way, or asked for."""
        policy.check(self.source, self.terms, self.teacher.name, self.teacher.config)
        key = request_key(self.teacher.identity, request)
        while True:
            kept = self.replies.get(key)
            if kept is not None:
                self.teacher.meter.replayed()
                return self.teacher.stamp(kept, key)
            if key not in self._pending:
                return await self._fetch(request, key)
            await self._pending[key].wait()

    async def _fetch(self, request: Request, key: str) -> Reply:
        done = self._pending[key] = asyncio.Event()
        try:
            return await self.teacher.fetch(request, key, self)
        finally:
            del self._pending[key]
            done.set()
