"""How many requests and tokens a plan would take, without calling a teacher."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Final

from flows.plan import FlowPlan, Plan
from flows.synthesis import bench_of
from schemas.ask import Reply, Request
from schemas.record import Record, SourceShard
from schemas.task import Task
from sources.catalogue import open_source

CHARS_PER_TOKEN: Final = 4.0
"""English text under byte-pair tokenizers; a rule of thumb, good enough to size a run."""

TOKENS_PER_FRAME: Final = 256
"""One 448 x 448 tile in common vision teachers (InternVL's count); a rule of thumb."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One flow's size. Token counts are estimates; `reply_tokens` is an upper bound."""

    flow: str
    teacher: str
    sources: tuple[str, ...]
    num_tasks: int
    num_done: int
    num_records: int
    num_requests: int
    prompt_tokens: int
    reply_tokens: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class _Stop(Exception):
    """The first request of a record is known."""


def estimate(plan: Plan, flow: FlowPlan) -> Estimate:
    """The size of what is missing of a flow: the first record's first request, times the records."""
    num_requests, prompt_tokens, reply_tokens = 0, 0, 0
    for source in dict.fromkeys(task.source for task in flow.missing):
        tasks = [task for task in flow.missing if task.source == source]
        num_records = sum(task.num_records for task in tasks)
        request = _first_request(plan, tasks[0])
        if request is not None:
            asks = num_records * bench_of(tasks[0]).generator.num_asks()
            num_requests += asks
            prompt_tokens += asks * _prompt_tokens(request)
            reply_tokens += asks * request.sampling.max_tokens
    return Estimate(
        flow=flow.flow,
        teacher=flow.table.teacher,
        sources=flow.table.sources,
        num_tasks=len(flow.missing),
        num_done=len(flow.tasks) - len(flow.missing),
        num_records=sum(task.num_records for task in flow.missing),
        num_requests=num_requests,
        prompt_tokens=prompt_tokens,
        reply_tokens=reply_tokens,
    )


def _first_request(plan: Plan, task: Task) -> Request | None:
    """The first request that the task's first readable record would lead to; None when it asks nobody."""
    bench = bench_of(task)
    records = open_source(task.source, plan.catalogue).records(
        SourceShard(task.shard, task.num_records), task.start, task.stop
    )
    record = next((item for item in records if isinstance(item, Record) and bench.generator.accepts(item)), None)
    return None if record is None else asyncio.run(_catch(bench.generator.generate, record))


async def _catch(generate: Any, record: Record) -> Request | None:
    caught: list[Request] = []

    async def ask(request: Request) -> Reply:
        caught.append(request)
        raise _Stop

    try:
        await generate(record, ask)
    except _Stop:
        return caught[0]
    return None


def _prompt_tokens(request: Request) -> int:
    chars = sum(len(turn.text) for turn in request.turns)
    frames = sum(len(turn.frames) for turn in request.turns)
    return round(chars / CHARS_PER_TOKEN) + frames * TOKENS_PER_FRAME
