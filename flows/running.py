"""The shared body of the five flows, with and without Prefect."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass

from corpus.snapshot import take_snapshot
from flows.params import FlowParams
from flows.plan import FlowPlan, Plan, make_plan
from flows.progress import WATCHER, Nobody
from flows.synthesis import Shop, synthesize
from flows.window import Teachers
from schemas.task import Task
from teachers.budget import Budget
from teachers.opening import OpenTeacher, open_teacher

RunTask = Callable[[Task, Shop], Awaitable[None]]
"""How a task is run: plainly, or as a Prefect task run."""


BUDGET: ContextVar[Budget | None] = ContextVar("budget", default=None)
"""What a run over several flows may spend in all; a flow that runs alone has its own."""


@dataclass(frozen=True, slots=True)
class FlowReport:
    """What a flow run did: the fingerprints of its tasks, and the snapshot that shows them."""

    flow: str
    tasks: tuple[str, ...]
    num_made: int
    snapshot: str | None


async def plainly(task: Task, shop: Shop) -> None:
    """Run a task in this process, under nobody's orchestration."""
    await synthesize(task, shop)


async def run_flow(name: str, params: FlowParams, run_task: RunTask = plainly) -> FlowReport:
    """Plan one flow, make what is missing, take a snapshot.

    When a task fails the others under way are cancelled and the error is raised; what was committed
    stays, and the next run goes on from there.
    """
    plan = make_plan((name,), params)
    flow, watcher = plan.flows[0], WATCHER.get() or Nobody()
    watcher.begin(name, sum(task.num_records for task in flow.missing))
    async with AsyncExitStack() as stack:
        shop = Shop(plan.root, plan.catalogue, await open_teachers(plan, flow, stack), watcher)
        await _run_all(flow.missing, shop, run_task, params.parallel_tasks)
    watcher.end(name)
    snapshot = snapshot_of(plan) if params.snapshot else None
    return FlowReport(name, tuple(task.fingerprint for task in flow.tasks), len(flow.missing), snapshot)


def snapshot_of(plan: Plan) -> str:
    """Take a snapshot that shows what is committed of the plan; returns its name."""
    return take_snapshot(plan.root, plan.tasks).name


async def open_teachers(plan: Plan, flow: FlowPlan, stack: AsyncExitStack) -> Teachers:
    """Open the flow's teacher and judge; neither is started before it is first asked."""
    budget = BUDGET.get() or Budget(plan.pipeline.budget.usd)
    opened: dict[str, OpenTeacher] = {}
    for name in (flow.table.teacher, flow.table.judge):
        if name is not None and name not in opened:
            config = plan.pipeline.teacher(name)
            opened[name] = await stack.enter_async_context(open_teacher(name, config, budget=budget))
    judge = opened[flow.table.judge] if flow.table.judge else None
    return Teachers(opened[flow.table.teacher], judge)


async def _run_all(tasks: tuple[Task, ...], shop: Shop, run_task: RunTask, num_parallel: int) -> None:
    """Run tasks, at most `num_parallel` at once; the first error stops the rest and is raised itself."""
    slots = asyncio.Semaphore(num_parallel)

    async def one(task: Task) -> None:
        async with slots:
            await run_task(task, shop)

    running = [asyncio.create_task(one(task)) for task in tasks]
    try:
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
