"""One batch from its upload to its results on this disk, taken up again wherever it was left."""

import asyncio
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable
from typing import BinaryIO, Final, TypeVar

from schemas.errors import TeacherError, TransientError
from schemas.pipeline import Batch
from teachers.batch.journal import Journal, Step
from teachers.batch.lines import disk_errors
from teachers.batch.server import ENDED, BatchServer, Progress

Result = TypeVar("Result")

NUM_LOOKS: Final = 3
"""How often the server's list is searched, `poll_s` apart, for a batch that may have been created."""

NUM_READS: Final = 3
"""How often result files are read that hold fewer lines than the server counted, before they are believed."""

QUEUE_FULL: Final = frozenset({"token_limit_exceeded", "rate_limit_exceeded"})
"""A batch fails with these while others fill the account's queue ("Enqueued token limit reached ... try
again once some in_progress batches have been completed", openai-python issue 2084); nothing was paid."""

NUM_SUBMITS: Final = 10
"""How often a batch is queued before its requests go online, each pause twice as long as the one before."""

MAX_PAUSE_S: Final = 900.0
"""The longest of these pauses, in seconds."""

MAX_WISH_S: Final = 120.0
"""The longest Retry-After that is obeyed, in seconds."""


class Driver:
    """Drives the batches that this process has claimed. `note` gets a sentence for people now and then."""

    def __init__(self, server: BatchServer, config: Batch, patience_s: float, note: Callable[[str], None]) -> None:
        self._server = server
        self._config = config
        self._patience_s = patience_s
        self._note = note

    async def submit(self, journal: Journal, lines: BinaryIO) -> None:
        """Upload and queue a new batch. TeacherError when the server takes none: then nothing is remembered."""
        try:
            file_id = await self._patiently(lambda: self._server.upload(lines, f"calabash-{journal.name}.jsonl"))
            await self._create(journal, await _save(journal, Step("uploaded", file_id)))
        except TeacherError:
            step = journal.step()
            if step is None or step.name == "uploaded":
                journal.abandon()
            raise

    async def finish(self, journal: Journal) -> None:
        """Bring the results of a batch here, or forget a batch that was never created.

        TeacherError when the server cannot be asked about it any more.
        """
        try:
            await self._finish(journal)
        except TeacherError as error:
            raise TeacherError(
                f"{error}; the batch is remembered in {journal.intent}: without that file its requests are asked, "
                "and paid, anew"
            ) from None

    async def _finish(self, journal: Journal) -> None:
        step = await self._found(journal)
        if step is None:
            journal.abandon()
            return
        while True:
            progress = await self._wait(step)
            if not QUEUE_FULL.intersection(progress.codes) or step.num_submits >= NUM_SUBMITS:
                break
            self._note(f"{self._server.where}: the batch queue is full, a batch waits: {progress.words}")
            await asyncio.sleep(self._pause(min(MAX_PAUSE_S, self._config.poll_s * 2**step.num_submits)))
            step = await self._create(journal, step)
        if progress.status != "completed":
            self._note(
                f"{self._server.where}: batch {progress.id} {progress.status}: {progress.words or '(no words)'}; "
                "what it did not answer is asked online, at the full price"
            )
        await self._bring(journal, progress)
        await self._server.forget(step.file_id, progress.output_file_id, progress.error_file_id)

    async def _found(self, journal: Journal) -> Step | None:
        """The step of a batch that exists at the server; None when there is none."""
        step = journal.step()
        if step is None or step.name == "created":
            return step
        if step.name == "creating":
            batch = await self._look(journal, step, NUM_LOOKS)
            if batch is not None:
                return await _save(journal, dataclasses.replace(step, name="created", batch_id=batch.id))
        await self._server.forget(step.file_id)  # a create that is still on its way finds nothing to run
        batch = await self._look(journal, step, 1)
        return batch and await _save(journal, dataclasses.replace(step, name="created", batch_id=batch.id))

    async def _create(self, journal: Journal, step: Step) -> Step:
        """Queue an uploaded file exactly once: after an answer that was lost, look before asking again."""

        async def create_or_find() -> Progress:
            try:
                return await self._server.create(trying.file_id, self._config.window, journal.name)
            except TransientError:
                batch = await self._look(journal, trying, NUM_LOOKS)
                if batch is None:
                    raise
                return batch

        trying = Step("creating", step.file_id, num_submits=step.num_submits + 1)
        await _save(journal, trying)
        batch = await self._patiently(create_or_find)
        return await _save(journal, dataclasses.replace(trying, name="created", batch_id=batch.id))

    async def _look(self, journal: Journal, step: Step, num_looks: int) -> Progress | None:
        for number in range(num_looks):
            if number:
                await asyncio.sleep(self._pause())
            batch = await self._patiently(lambda: self._server.find(journal.name, step.file_id))
            if batch is not None:
                return batch
        return None

    async def _wait(self, step: Step) -> Progress:
        while True:
            progress = await self._poll(step.batch_id)
            if progress.status in ENDED:
                return progress
            await asyncio.sleep(self._pause())

    async def _bring(self, journal: Journal, progress: Progress) -> None:
        """Put both result files on this disk, whole; then they are there for good."""
        for number in range(NUM_READS):
            if number:
                await asyncio.sleep(self._pause())
                progress = await self._poll(progress.id)
            if await self._read(journal, progress) >= progress.num_completed:
                break
        await asyncio.to_thread(journal.publish_results)

    async def _read(self, journal: Journal, progress: Progress) -> int:
        """Download the result files anew; how many lines the first has."""
        return await self._patiently(lambda: self._read_once(journal, progress))

    async def _poll(self, batch_id: str) -> Progress:
        return await self._patiently(lambda: self._server.poll(batch_id))

    async def _read_once(self, journal: Journal, progress: Progress) -> int:
        num_lines = 0
        with disk_errors(journal.part), journal.part.open("wb") as file:
            if progress.output_file_id:
                num_lines = await self._server.download(progress.output_file_id, file)
            if progress.error_file_id:
                await self._server.download(progress.error_file_id, file)
        return num_lines

    async def _patiently(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """What `call` gives once it succeeds; TeacherError when it failed for `patience_s`."""
        began: float | None = None
        while True:
            try:
                return await call()
            except TransientError as error:
                now = time.monotonic()
                began = now if began is None else began
                if now - began > self._patience_s:
                    raise TeacherError(
                        f"{error}; waited {now - began:.0f} s: batches that were sent go on at the server, and "
                        "running again finds them"
                    ) from None
                wish = min(error.retry_after or 0.0, MAX_WISH_S)
            await asyncio.sleep(max(wish, self._pause()))

    def _pause(self, seconds: float | None = None) -> float:
        """`poll_s`, or other seconds, give or take a fifth."""
        return random.uniform(0.8, 1.2) * (self._config.poll_s if seconds is None else seconds)


async def _save(journal: Journal, step: Step) -> Step:
    return await asyncio.to_thread(journal.save, step)
