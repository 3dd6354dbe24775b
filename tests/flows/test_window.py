"""The sliding window: order kept, nobody starved, and an error that loses nothing that was paid for."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flows import reading, window
from flows.judging import Bench
from flows.stamping import Stamp
from flows.window import Teachers, outcomes
from schemas.ask import Ask, Request, Turn
from schemas.conversation import Conversation, Message
from schemas.errors import CorpusError, SourceError
from schemas.record import Facts, Media, Record, Reject, SourceShard
from schemas.task import Task
from teachers.opening import open_teacher
from teachers.replay.blocks import Replies
from tests.support.asking import OPEN, frame, teacher
from tests.support.endpoint import Behavior, serve

STAMP = Stamp("captioning", "echo@1", "production")


@dataclass
class Shelf:
    """A source of `num` records; position `broken` cannot be read, and the shelf ends at `torn`."""

    num: int
    broken: int = -1
    torn: int = -1
    frame_bytes: int = 0
    num_read: int = 0
    id: str = "shelf"
    revision: str = "1"

    def shards(self) -> Sequence[SourceShard]:
        return (SourceShard("all", self.num),)

    def records(self, shard: SourceShard, start: int = 0, stop: int | None = None) -> Iterator[Record | Reject]:
        for position in range(self.num)[start:stop]:
            self.num_read += 1
            if position == self.torn:
                raise SourceError("the shelf is torn")
            media = (Media("image", (frame(self.frame_bytes),), "0", "here"),) if self.frame_bytes else ()
            record = Record(
                f"r{position}", self.id, "1", f"g{position}", OPEN, media, Facts(report=f"Report {position}.")
            )
            yield Reject(record.id, "source", "unreadable") if position == self.broken else record


@dataclass
class Worker:
    """A generator that works as the test says: `held` records wait for `gate`, `failing` ones raise."""

    held: tuple[str, ...] = ()
    failing: dict[str, Exception] = field(default_factory=dict[str, Exception])
    asks: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    done: list[str] = field(default_factory=list[str])
    at_work: int = 0
    most_at_work: int = 0
    name, version, Options = "echo", 1, object

    def accepts(self, record: Record) -> bool:
        return True

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            return await self._made(record, ask)
        finally:
            self.at_work -= 1
            self.done.append(record.id)

    async def _made(self, record: Record, ask: Ask) -> list[Conversation]:
        if record.id in self.held:
            await self.gate.wait()
        if record.id in self.failing:
            await asyncio.sleep(0.15)  # the others' requests are on the wire by then
            raise self.failing[record.id]
        pairs: tuple[Any, ...] = ()
        if self.asks:
            request = Request("generate", (Turn("user", record.facts.report),))
            pairs = ((request, await ask(request)),)
        await asyncio.sleep(0)
        return [Conversation((Message("user", "?"), Message("assistant", record.id)), "report", pairs)]


def _task(num: int) -> Task:
    return Task("captioning", "shelf", "all", 0, num, {"select": []})


def _bench(worker: Worker) -> Bench:
    return Bench(worker, (), (), STAMP)  # type: ignore[arg-type]


async def _until(worker: Worker, num_done: int) -> None:
    """Wait until so many records are done."""
    async with asyncio.timeout(20):
        while len(worker.done) < num_done:  # noqa: ASYNC110 - the worker counts, it sets nothing
            await asyncio.sleep(0.01)


async def _ids(root: Path, shelf: Shelf, worker: Worker, teachers: Teachers) -> list[str]:
    """What became of every record: the record's id for a sample, its reason for a reject."""
    found: list[str] = []
    with Replies(root, "shelf", "all") as replies:
        async with aclosing(outcomes(_task(shelf.num), _bench(worker), shelf, teachers, replies)) as settled:
            async for outcome in settled:
                found += [sample.record_id for sample in outcome.samples]
                found += [reject.reason for reject in outcome.rejects]
    return found


async def test_outcomes_come_in_record_order_with_the_rejects_in_their_places(tmp_path: Path) -> None:
    found = await _ids(tmp_path, Shelf(300, broken=7), Worker(), Teachers(None, None))
    assert found == [f"r{number}" if number != 7 else "unreadable" for number in range(300)]


async def test_one_slow_record_holds_up_no_other(tmp_path: Path) -> None:
    worker = Worker(held=("r0",))
    running = asyncio.create_task(_ids(tmp_path, Shelf(500), worker, Teachers(None, None)))
    await _until(worker, 499)
    assert not running.done()
    worker.gate.set()
    assert await running == [f"r{number}" for number in range(500)]
    assert worker.most_at_work == 2


async def test_the_frames_that_wait_behind_a_slow_record_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 200_000)
    shelf, worker = Shelf(100, frame_bytes=100_000), Worker(held=("r0",))
    running = asyncio.create_task(_ids(tmp_path, shelf, worker, Teachers(None, None)))
    await _until(worker, 9)
    await asyncio.sleep(0.2)
    assert len(worker.done) == 9
    assert shelf.num_read <= 10 + 2 * 2 + 1
    worker.gate.set()
    assert len(await running) == 100


async def test_after_an_error_what_is_on_the_wire_lands_and_nothing_more_is_sent(tmp_path: Path) -> None:
    worker = Worker(failing={"r3": CorpusError("the disk is full")}, asks=True)
    async with serve(Behavior(latency_ms=500)) as endpoint:
        async with open_teacher("t", teacher(endpoint.url, max_in_flight=8), root=tmp_path) as opened:
            with pytest.raises(CorpusError, match="disk is full") as raised:
                await _ids(tmp_path, Shelf(200), worker, Teachers(opened, None))
        num_asked = endpoint.stats.num_requests
    assert "record r3" in raised.value.__notes__[0]
    with Replies(tmp_path, "shelf", "all") as replies:
        assert len(replies.of(0)) == num_asked == endpoint.stats.num_answered > 0
    assert len(worker.done) < 200


async def test_two_tasks_that_stop_together_both_raise_the_error_that_came_first(tmp_path: Path) -> None:
    first, second = Worker(failing={"r1": CorpusError("the disk is full")}, asks=True), Worker(asks=True)
    async with (
        serve(Behavior(latency_ms=300)) as endpoint,
        open_teacher("t", teacher(endpoint.url, max_in_flight=4), root=tmp_path) as opened,
    ):
        teachers = Teachers(opened, None)
        both = (_ids(tmp_path / name, Shelf(100), one, teachers) for name, one in (("a", first), ("b", second)))
        errors = await asyncio.gather(*both, return_exceptions=True)
    assert [type(error) for error in errors] == [CorpusError, CorpusError]


async def test_a_source_that_breaks_off_is_the_error_that_is_raised(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="torn"):
        await _ids(tmp_path, Shelf(200, torn=150), Worker(), Teachers(None, None))


async def test_a_reader_that_goes_away_ends_every_record(tmp_path: Path) -> None:
    worker = Worker(held=tuple(f"r{number}" for number in range(1, 100)))
    with Replies(tmp_path, "shelf", "all") as replies, pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "INTERRUPTED_GRACE_S", 0.05)
        settled = outcomes(_task(100), _bench(worker), Shelf(100), Teachers(None, None), replies)
        async with aclosing(settled):
            async for outcome in settled:
                assert outcome.samples[0].record_id == "r0"
                break
    assert worker.at_work == 0
    assert len(asyncio.all_tasks()) == 1
