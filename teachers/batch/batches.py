"""Asking through a server's batch queue: half the price, hours of patience, and nothing paid twice."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.ask import Request
from schemas.errors import GenerationError
from schemas.pipeline import Batch, Price, Teacher
from teachers.answer import Answer
from teachers.batch.driving import Driver
from teachers.batch.gathering import Gatherer
from teachers.batch.index import JournalIndex
from teachers.batch.journal import Journal
from teachers.batch.lines import MAX_BYTES, Spool, answer_of, line_of, places_of, read_line
from teachers.batch.server import BatchServer
from teachers.budget import NOTHING, Budget, Cost, cost_of, price_of, upper_of
from teachers.failures import public_url

NUM_BETWEEN_BREATHS: Final = 64
"""Results that are read before others on the event loop have their turn."""


@dataclass(frozen=True, slots=True)
class BatchParts:
    """What batches share with the teacher they belong to.

    `online` answers what batches leave unanswered, as `Fleet.ask`: it retries, and minds the budget itself.
    `body_of` makes a request's chat completion, frames inside it. `note` gets a sentence for people when a
    batch ends badly.
    """

    online: Callable[[Request, str], Awaitable[Answer]]
    body_of: Callable[[Request], Awaitable[bytes]]
    budget: Budget
    note: Callable[[str], None] = lambda sentence: None


Priced = tuple[Answer, Price]
"""An answer and the price of its tokens: the batch's, or the full one where it had to be asked online."""


@dataclass(slots=True)
class _Wanted:
    """A request that is waited for; `upper` is put aside in the budget until its batch has ended."""

    request: Request
    priced: asyncio.Future[Priced]
    upper: Cost | None = None


class Batches:
    """The batch queue of one endpoint of a teacher, remembered in `folder`, which processes may share.

    A key that a journal in the folder holds is awaited, never sent again. Results stay in the folder until
    each of them was reported `kept`, so what a killed run paid for is found by the next. `key` is None
    where the endpoint needs none; it is never written or shown.
    """

    def __init__(self, name: str, config: Teacher, url: str, key: str | None, folder: Path, parts: BatchParts) -> None:
        self._name = name
        self._config = config
        self._price = price_of(config)
        self._parts = parts
        batch = config.batch or Batch()
        self._poll_s = batch.poll_s
        self._server = BatchServer(name, config, url, key)
        self._driver = Driver(self._server, batch, config.patience_s, parts.note)
        self._index = JournalIndex(folder, public_url(url))
        self._gatherer = Gatherer(batch, folder, self._send)
        self._wanted: dict[str, _Wanted] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, request: Request, key: str) -> Priced:
        """The answer to a request, once its batch has it, and the price that it was asked at.

        Raises GenerationError when this request is refused; TeacherError when the budget is spent, the
        server takes no batches or is away for longer than `patience_s`; CorpusError when the folder
        cannot be read or written; and what `online` raises.
        """
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = _Wanted(request, asyncio.get_running_loop().create_future())
            wanted.priced.add_done_callback(_heed)
            self._spawn(self._enter(key, wanted))  # not in the asker's task, which may be cancelled
        return await asyncio.shield(wanted.priced)

    def kept(self, key: str) -> None:
        """Hear that the answer to a key is kept elsewhere; a batch with nothing else in it is removed."""
        journal = self._index.settle(key)
        if journal is not None and not journal.is_followed:
            self._remove(journal)

    async def close(self) -> None:
        """Stop; batches that were sent go on at the server, and the next process with their keys finds them."""
        await self._gatherer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._index.close()
        for key in tuple(self._wanted):
            self._end(key, asyncio.CancelledError())
        await self._server.close()

    async def _enter(self, key: str, wanted: _Wanted) -> None:
        """Put the most that a request can cost aside, then find it a batch."""
        try:
            upper = upper_of(wanted.request, self._price) if self._parts.budget.is_limited else NOTHING
            if not self._parts.budget.try_reserve(upper):
                await self._parts.budget.wait(upper, self._name)
            wanted.upper = upper
            await self._index.read()
        except Exception as error:
            self._end(key, error)
        else:
            await self._place(key)

    async def _place(self, key: str) -> None:
        """Wait for the batch that has the key, or put it into the next."""
        try:
            journal = self._index.find(key)
            if journal is not None:
                self._follow(journal, key)
                return
            line = line_of(key, await self._parts.body_of(self._wanted[key].request))
            if len(line) > MAX_BYTES:
                self._ask_online(key)
            else:
                self._gatherer.add(key, line)
        except Exception as error:
            self._end(key, error)

    async def _send(self, spool: Spool) -> None:
        """Send a batch, without what other processes sent meanwhile."""
        keys = tuple(spool)
        try:
            rest, journal = await self._index.register(spool)
            for key in set(keys).difference(rest):
                await self._place(key)
            if journal is None:
                return
            journal.awaited.update(rest)
            journal.is_followed = True
        except Exception as error:
            for key in keys:
                self._end(key, error)
            return
        await self._see_through(journal, rest)

    def _follow(self, journal: Journal, key: str) -> None:
        journal.awaited.add(key)
        if not journal.is_followed:
            journal.is_followed = True
            self._spawn(self._see_through(journal, None))

    async def _see_through(self, journal: Journal, spool: Spool | None) -> None:
        """Send a batch if it is new; then drive it, or watch who does; then hand its results out."""
        try:
            if spool is not None:
                await self._driver.submit(journal, spool.file)
                spool.file.close()  # its disk space is not needed for the hours that follow
            while journal.is_there and not journal.results.exists():
                if not journal.claim():
                    await asyncio.sleep(self._poll_s)
                elif not journal.results.exists():  # or its driver ended it just before
                    await self._driver.finish(journal)
            journal.release_claim()
            await self._hand_out(journal)
        except Exception as error:
            self._index.drop(journal)
            for key in journal.awaited:
                self._end(key, error)
        finally:
            journal.release_claim()
            journal.is_followed = False
            if spool is not None:
                spool.file.close()
        if journal.num_unsettled == 0:
            self._remove(journal)

    async def _hand_out(self, journal: Journal) -> None:
        """End every request that waits for this batch, those that come meanwhile too."""
        if not journal.is_there:
            self._index.drop(journal)
            for key in journal.awaited:
                await self._place(key)
            return
        if journal.places is None:
            journal.places = await asyncio.to_thread(places_of, journal.results)
        number = 0
        with journal.results.open("rb") as file:
            while journal.awaited:
                key = journal.awaited.pop()
                place = journal.places.get(key)
                self._read(key, read_line(file, place) if place else b"")
                number += 1
                if number % NUM_BETWEEN_BREATHS == 0:
                    await asyncio.sleep(0)

    def _read(self, key: str, line: bytes) -> None:
        """End a request with its result, or ask it online."""
        try:
            answer = line and answer_of(line, self._server.where, self._config.reasoning, self._server.clean)
        except GenerationError as error:
            self._end(key, error)
            self.kept(key)
            return
        if answer:
            self._end(key, (answer, self._price))
        else:
            self._ask_online(key)

    def _ask_online(self, key: str) -> None:
        self._spawn(self._ask_alone(key, self._wanted[key]))

    async def _ask_alone(self, key: str, wanted: _Wanted) -> None:
        self._give_back(wanted, NOTHING)
        try:
            self._end(key, (await self._parts.online(wanted.request, key), self._config.price))
        except Exception as error:
            self._end(key, error)
            if isinstance(error, GenerationError):
                self.kept(key)

    def _end(self, key: str, outcome: Priced | BaseException) -> None:
        """Give whoever waits for a key what came of it."""
        wanted = self._wanted.pop(key, None)
        if wanted is None:
            return
        if not isinstance(outcome, BaseException):
            self._give_back(wanted, cost_of(outcome[0][0], outcome[1]))  # online, nothing is put aside
            wanted.priced.set_result(outcome)
            return
        self._give_back(wanted, NOTHING)
        if isinstance(outcome, asyncio.CancelledError):
            wanted.priced.cancel()
        else:
            wanted.priced.set_exception(outcome)

    def _give_back(self, wanted: _Wanted, actual: Cost) -> None:
        """Settle what was put aside, once."""
        upper, wanted.upper = wanted.upper, None
        if upper is not None:
            self._parts.budget.settle(upper, actual)

    def _remove(self, journal: Journal) -> None:
        self._index.drop(journal)
        journal.remove()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _heed(answer: asyncio.Future[Priced]) -> None:
    """An error that nobody waits for any more is no news."""
    if not answer.cancelled():
        answer.exception()
