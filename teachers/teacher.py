"""A teacher between opening and closing: who it is, what it may be asked, how it is reached."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from schemas.ask import Ask, Reply, Request
from schemas.errors import ConfigError, PolicyError, TeacherError
from schemas.pipeline import Teacher
from schemas.record import SourceTerms
from teachers import policy
from teachers.answer import Answer
from teachers.batch import BATCHES
from teachers.budget import Budget, cost
from teachers.fleet.breaker import GO_ON
from teachers.identity import embedded_model, gguf_of, identity, is_unpinned
from teachers.meter import Meter
from teachers.pictures.sender import PictureSender
from teachers.replay.keys import request_key
from teachers.replay.log import ReplyLog
from teachers.stream import Stream

if TYPE_CHECKING:
    from teachers.batch.batches import Batches
    from teachers.fleet.fleet import Fleet
    from teachers.serving.served import Server

UNSEEN: Final = "unseen"
"""How frames enter the key of a request to a teacher that is not shown them."""


@dataclass(frozen=True, slots=True)
class Means:
    """What it takes to really ask: money, a key, and a folder (the corpus) for logs, canaries and batches."""

    budget: Budget
    root: Path
    key: str | None = field(default=None, repr=False)
    withheld: frozenset[str] = frozenset()
    """Variables with other teachers' keys: a server that is started does not see them."""


class OpenTeacher:
    """A teacher that can be asked; `ask_of` gives each stream of records its `ask`.

    Nothing is started or connected before the first request that no kept reply answers. Without `means`
    such a request is a TeacherError.
    """

    def __init__(
        self,
        name: str,
        config: Teacher,
        means: Means | None,
        *,
        known: Mapping[str, str] | None = None,
        fallbacks: tuple["OpenTeacher", ...] = (),
    ) -> None:
        self.name = name
        self.config = config
        self.identity = known or identity(name, config)
        self.meter = Meter()
        self.chain: tuple[OpenTeacher, ...] = (self, *fallbacks)
        self._verdicts: dict[tuple[str, SourceTerms], str] = {}
        self.pending: dict[tuple[ReplyLog, str], asyncio.Event] = {}
        """Requests on their way, by the log that will keep the reply: a twin waits for it."""
        self._means = means
        root = means.root if means else Path()
        self.pictures = PictureSender(config.pictures, Path(config.pictures.folder or root / "frames"))
        self._opening = asyncio.Lock()
        self._server: Server | None = None
        self._fleet: Fleet | None = None
        self._batches: Batches | None = None
        self._fault: str | None = None
        self._has_taught = False
        self._is_open = False

    def ask_of(self, *, source: str, terms: SourceTerms, replies: ReplyLog, flow: str = "", order: int = 0) -> Ask:
        """The `ask` for records of one source: policy, replay, the wire, the log, then the meter.

        Of requests that wait for a place, those of the lowest `order` go first.
        """
        return Stream(self.chain, source, terms, replies, flow, order).ask

    def key_of(self, request: Request) -> str:
        """The name of a request to this teacher."""
        frames = [frame for turn in request.turns for frame in turn.frames]
        rule = ""
        if frames:
            rule = self.pictures.rule(frames) if "image" in self.config.accepts else UNSEEN
        return request_key(self.identity, request, rule)

    async def fetch(self, request: Request, key: str, *, may_wait: bool = True, order: int = 0) -> Answer:
        """Really ask. Raises GenerationError, TeacherError or (when it may not wait) UnreachableError."""
        fleet = await self._opened(key)
        price = self.config.price
        if self._batches is not None:
            (reply, facts), price = await self._batches.ask(request, key)
        else:
            reply, facts = await fleet.ask(request, key, may_wait=may_wait, order=order)
        self._has_taught = self._has_taught or not reply.problem
        return self.stamp(reply, key, cost(reply, price)), facts

    def kept(self, key: str) -> None:
        """Hear that the reply to a key is in a log: what else remembers it may forget it."""
        if self._batches is not None:
            self._batches.kept(key)

    @property
    def capacity(self) -> int:
        """How many requests it has a use for at once."""
        return self.config.batch.max_requests if self.config.batch is not None else self.config.max_in_flight

    @property
    def is_out(self) -> bool:
        """Whether it will answer nothing more in this run."""
        return self._fault is not None or (self._fleet is not None and self._fleet.is_out)

    def stop(self, reason: str) -> None:
        """Ask nothing more, fallbacks neither: what is on the wire lands and is kept."""
        for teacher in self.chain:
            teacher._fault = teacher._fault or reason
            if teacher._fleet is not None:
                teacher._fleet.stop(reason)

    def vouch(self) -> None:
        """TeacherError when it has answered, and never usably: rejects of such a run must not be committed."""
        if not any(teacher._has_taught for teacher in self.chain):
            for teacher in self.chain:
                if teacher._fleet is not None:
                    teacher._fleet.vouch()

    def standing(self) -> dict[str, dict[str, Any]]:
        """Where the teacher and its fallbacks run and what their operators promised, by name, as plain data."""
        return {
            teacher.name: {
                "locality": policy.locality_of(teacher.name, teacher.config),
                "attestation": teacher.config.attestation.model_dump(mode="json"),
            }
            for teacher in self.chain
        }

    def meters(self) -> dict[str, Meter]:
        """The counters of the teacher and its fallbacks, by name."""
        return {teacher.name: teacher.meter for teacher in self.chain}

    async def close(self) -> None:
        """Close every connection and stop the server that was started."""
        async with AsyncExitStack() as stack:  # each in its turn, whatever becomes of the one before
            if self._server is not None:
                stack.push_async_callback(self._server.stop)
            if self._fleet is not None:
                stack.push_async_callback(self._fleet.close)
            if self._batches is not None:
                stack.push_async_callback(self._batches.close)

    def stamp(self, reply: Reply, key: str, usd: float = 0.0) -> Reply:
        """The reply with who gave it, what it answers, and what it costs now."""
        return Reply(
            content=reply.content,
            finish_reason=reply.finish_reason,
            reasoning=reply.reasoning,
            problem=reply.problem,
            teacher=self.identity["name"],
            model=self.identity["model"],
            revision=self.identity["revision"],
            key=key,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            usd=usd,
            replayed=reply.replayed,
        )

    def check(self, source: str, terms: SourceTerms) -> None:
        """PolicyError when records of this source may not be sent to it; looked up after the first time."""
        if (source, terms) not in self._verdicts:
            try:
                policy.check(source, terms, self.name, self.config)
            except PolicyError as error:
                self._verdicts[source, terms] = str(error)
            else:
                self._verdicts[source, terms] = ""
        if verdict := self._verdicts[source, terms]:
            raise PolicyError(verdict)

    async def _opened(self, key: str) -> "Fleet":
        if self._fault is not None:
            raise TeacherError(self._fault)
        if not self._is_open:
            async with self._opening:
                if self._fault is not None:  # while this one waited
                    raise TeacherError(self._fault)
                if not self._is_open:
                    await self._open(key)
        assert self._fleet is not None
        return self._fleet

    async def _open(self, key: str) -> None:
        """Start what is to be started, and see who answers."""
        if self._means is None:
            raise TeacherError(
                f"teacher {self.name!r} may only replay, and no reply to request {key[:12]} is kept; generate it first"
            )
        try:
            self._fleet = await self._reach(self._means)
            await self._recognize(self._fleet, self._means)
        except (TeacherError, ConfigError) as error:
            self._fault = str(error)
            raise
        if self.config.batch is not None:
            self._batches = self._batching(self._fleet, self._means)
        self._is_open = True

    async def _reach(self, means: Means) -> "Fleet":
        """Start the server if it is ours; the endpoints. What they import, a run with nothing to ask does without."""
        from teachers.fleet.fleet import Fleet, Parts
        from teachers.serving.embedded import NUM_SLOTS, EmbeddedServer
        from teachers.serving.served import Served, log_of

        config, urls = self.config, self.config.base_url
        max_in_flight = config.max_in_flight
        if config.is_embedded:
            model = embedded_model(self.name, config)
            self._server = EmbeddedServer(gguf_of(self.name, model), config.model)
            max_in_flight = min(max_in_flight, NUM_SLOTS)
        elif config.serve is not None:
            self._server = Served(self.name, config, log_of(means.root, self.name), withheld=means.withheld)
        if self._server is not None:
            urls = (await self._server.start(),)
        parts = Parts(means.budget, self.meter, self.pictures, self._server)
        return Fleet(self.name, config, means.key, parts, urls, max_in_flight)

    async def _recognize(self, fleet: "Fleet", means: Means) -> None:
        """Ask the canary questions; TeacherError when a model without a revision has changed."""
        if self.config.is_embedded or self.config.canary == 0:
            return
        from teachers.canary.check import FOLDER, check

        async def ask(request: Request) -> Answer:
            key = self.key_of(request)
            reply, facts = await fleet.ask(request, key)
            self.meter.paid(self.stamp(reply, key, cost(reply, self.config.price)), FOLDER)
            return reply, facts

        folder = means.root / "replies" / FOLDER
        drift = await check(self.identity, folder, self.config.canary, ask, fleet.describe)
        self.meter.drift = drift
        if drift:
            self.meter.note(drift)
        if drift and is_unpinned(self.identity):
            raise TeacherError(
                f"{drift}; it has no revision, so its kept replies would be mixed with another model's: set "
                f"revision in [teachers.{self.name}] to tell them apart; {GO_ON}"
            )

    def _batching(self, fleet: "Fleet", means: Means) -> "Batches":
        from teachers.batch.batches import Batches, BatchParts

        folder = means.root / "replies" / BATCHES
        parts = BatchParts(fleet.ask, fleet.body_of, means.budget, self.meter.note)
        return Batches(self.name, self.config, self.config.base_url[0], means.key, folder, parts)
