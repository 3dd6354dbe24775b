"""Trying a flow on a few records: the whole path, nothing committed."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows.judging import Outcome, make_samples
from flows.params import FlowParams
from flows.plan import FlowPlan, Plan, make_plan
from flows.reading import positioned
from flows.running import open_teachers
from flows.synthesis import bench_of
from schemas.ask import Reply, Request
from schemas.errors import ConfigError
from schemas.record import Record, Reject, Tags
from schemas.task import Task
from sources.catalogue import open_source
from sources.tagging.cascade import tag
from teachers.replay.blocks import Replies


@dataclass(frozen=True, slots=True)
class Preview:
    """One record's way through a flow: what was asked and answered, and what came of it."""

    record: Record | None
    tags: Tags | None
    asked: tuple[tuple[Request, Reply], ...]
    outcome: Outcome


async def preview_flow(name: str, params: FlowParams, num: int, prompt: Path | None) -> tuple[Plan, list[Preview]]:
    """The first `num` records of the flow, source by source in turn. Replies are kept, rows are not."""
    plan = make_plan((name,), params)
    flow = plan.flows[0]
    previews: list[Preview] = []
    async with AsyncExitStack() as stack:
        teachers = await open_teachers(plan, flow, stack)
        for task, position, item in _in_turn(plan, flow, num):
            bench = bench_of(_with_prompt(task, prompt))
            if isinstance(item, Reject):
                outcome = Outcome()
                outcome.refuse(item)
                previews.append(Preview(None, None, (), outcome))
                continue
            asked: list[tuple[Request, Reply]] = []
            with Replies(plan.root, task.source, task.shard) as replies:
                ask, judge = teachers.asks(item, replies.of(position))

                async def watched(request: Request, ask: Any = ask, asked: Any = asked) -> Reply:
                    reply = await ask(request)
                    asked.append((request, reply))
                    return reply

                tags = tag(item)
                outcome = await make_samples(bench, item, tags, watched, judge)
            previews.append(Preview(item, tags, tuple(asked), outcome))
    return plan, previews


def _in_turn(plan: Plan, flow: FlowPlan, num: int) -> Iterator[tuple[Task, int, Record | Reject]]:
    """Up to `num` records with their tasks and positions, one of each source's first task in turn."""
    first = {task.source: task for task in reversed(flow.tasks)}
    readers = {
        source: positioned(open_source(source, plan.catalogue), first[source])
        for source in dict.fromkeys(task.source for task in flow.tasks)
    }
    while readers and num > 0:
        for source in list(readers)[:num]:
            read = next(readers[source], None)
            if read is None:
                del readers[source]
            else:
                yield first[source], *read
                num -= 1


def _with_prompt(task: Task, prompt: Path | None) -> Task:
    """The task with another prompt file in its generator's options."""
    if prompt is None:
        return task
    if not prompt.is_file():
        raise ConfigError(f"--prompt {prompt}: no such file")
    if "prompt" not in task.recipe["options"]:
        raise ConfigError(f"--prompt: generator {task.recipe['generator']!r} has no prompt to replace")
    options = {**task.recipe["options"], "prompt": str(prompt.resolve())}
    return replace(task, recipe={**task.recipe, "options": options})
