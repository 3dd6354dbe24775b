"""The asks of one source's records: every request passes policy, the kept replies and the log, in that order."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.ask import Reply, Request
from schemas.errors import GenerationError, PolicyError, TeacherError
from schemas.record import SourceTerms
from teachers.capability import lacks
from teachers.failures import UnreachableError
from teachers.replay.log import ReplyLog

if TYPE_CHECKING:
    from teachers.teacher import OpenTeacher

Chosen = Sequence[tuple["OpenTeacher", str]]
"""Teachers that may and can answer a request, the first choice first, each with its key for it."""


class Stream:
    """`ask` for one source and one reply log, of a teacher and, where it cannot, of its fallbacks."""

    def __init__(
        self,
        chain: tuple["OpenTeacher", ...],
        source: str,
        terms: SourceTerms,
        replies: ReplyLog,
        flow: str,
        order: int = 0,
    ) -> None:
        self._chain = chain
        self._source = source
        self._terms = terms
        self._replies = replies
        self._flow = flow
        self._order = order

    async def ask(self, request: Request) -> Reply:
        """One reply: kept, awaited from a twin that is on its way, or asked for.

        Raises PolicyError when the source's records may not go to the teacher, else as `schemas.ask.Ask`.
        """
        chosen = self._choose(request)
        pending = chosen[0][0].pending
        while True:
            for teacher, key in chosen:
                kept = self._replies.get(key)
                if kept is not None:
                    teacher.meter.replayed(self._source)
                    return teacher.stamp(kept, key)
            if self._replies.refresh():
                continue  # another process has kept replies since
            twin = pending.get((self._replies, chosen[0][1]))
            if twin is None:
                return await self._fetch(request, chosen)
            await twin.wait()

    def _choose(self, request: Request) -> Chosen:
        """Who may see the records and can answer; the teacher itself when nobody can."""
        first, *others = self._chain
        first.check(self._source, self._terms)
        if not others:
            return ((first, first.key_of(request)),)
        allowed = [first, *(other for other in others if self._may_see(other))]
        able = [teacher for teacher in allowed if not lacks(teacher.config, request)] or [first]
        return tuple((teacher, teacher.key_of(request)) for teacher in able)

    def _may_see(self, teacher: "OpenTeacher") -> bool:
        try:
            teacher.check(self._source, self._terms)
        except PolicyError:
            return False
        return True

    async def _fetch(self, request: Request, chosen: Chosen) -> Reply:
        pending, key = chosen[0][0].pending, (self._replies, chosen[0][1])
        done = pending[key] = asyncio.Event()
        try:
            return await self._first_answer(request, chosen)
        finally:
            del pending[key]
            done.set()

    async def _first_answer(self, request: Request, chosen: Chosen) -> Reply:
        """From the first that is up; when none is, from the first that comes back."""
        error: TeacherError | None = None
        for may_wait in (len(chosen) == 1, True):
            for index, (teacher, key) in enumerate(chosen):
                try:
                    return await self._asked(teacher, request, key, may_wait)
                except GenerationError as refused:
                    if not _is_for_longer(refused, teacher, chosen[index + 1 :]):
                        raise
                except TeacherError as failed:
                    if len(chosen) == 1 or not (teacher.is_out or isinstance(failed, UnreachableError)):
                        raise
                    error = failed
        assert error is not None, "every teacher either answered or failed"
        raise error

    async def _asked(self, teacher: "OpenTeacher", request: Request, key: str, may_wait: bool) -> Reply:
        """Ask, and keep the reply before anyone sees it."""
        try:
            reply, facts = await teacher.fetch(request, key, may_wait=may_wait, order=self._order)
        except GenerationError:
            teacher.meter.refused(self._source)
            raise
        self._replies.put(key, request, reply, facts, self._flow)
        teacher.kept(key)
        teacher.meter.paid(reply, self._source)
        return reply


def _is_for_longer(refused: GenerationError, teacher: "OpenTeacher", others: Chosen) -> bool:
    """Whether a request was too long for a teacher and there is another with a longer context."""
    longest = max((other.config.context_tokens or 0 for other, _ in others), default=0)
    return "context" in refused.detail.lower() and longest > (teacher.config.context_tokens or 0)
