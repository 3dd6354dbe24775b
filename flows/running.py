"""The shared body of the five flows, with and without Prefect."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpus.changing.taking import take_snapshot
from flows.params import FlowParams
from flows.plan import FlowPlan, Plan, make_plan
from flows.progress import WATCHER, Watcher, ticking
from flows.sweeping import seldom_swept
from flows.synthesis import Shop, synthesize
from flows.window import Teachers
from schemas.task import Task
from teachers.budget import Budget
from teachers.meter import Meter
from teachers.opening import OpenTeacher, open_teacher

if TYPE_CHECKING:
    from teachers.replay.mirror import Mirror

RunTask = Callable[[Task, Shop], Awaitable[None]]
"""How a task is run: plainly, or as a Prefect task run."""


BUDGET: ContextVar[Budget | None] = ContextVar("budget", default=None)
"""What a run over several flows may spend in all; a flow that runs alone makes it."""


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
    flow, watcher, budget = plan.flows[0], WATCHER.get() or Watcher(), budget_of(plan, plan.flows[0])
    watcher.begin(name, sum(task.num_records for task in flow.missing), budget)
    async with ticking(watcher), AsyncExitStack() as stack:
        stack.enter_context(seldom_swept())
        teachers = await open_teachers(plan, flow, stack, budget)
        watcher.opened(name, lambda: meters_of(teachers))
        mirror = stack.enter_context(mirroring(plan, teachers.note))
        shop = Shop(plan.root, plan.store, plan.catalogue, teachers, watcher, mirror)
        await _run_all(flow.missing, shop, run_task, params.parallel_tasks)
        watcher.end(name)
    snapshot = snapshot_of(plan) if params.snapshot else None
    return FlowReport(name, tuple(task.fingerprint for task in flow.tasks), len(flow.missing), snapshot)


def snapshot_of(plan: Plan) -> str:
    """Take a snapshot that shows what is committed of the plan; returns its name."""
    return take_snapshot(plan.store, plan.tasks).name


def run_budget(plan: Plan) -> Budget:
    """A new budget for a whole run."""
    return Budget(plan.pipeline.budget, "budget")


def budget_of(plan: Plan, flow: FlowPlan) -> Budget:
    """What one flow may spend, inside what the run may."""
    return Budget(flow.table.budget, f"flows.{flow.flow}.budget", BUDGET.get() or run_budget(plan))


def meters_of(teachers: Teachers) -> dict[str, Meter]:
    """The meters of teacher, judge and their fallbacks by name; who is both has one for each part."""
    found = dict(teachers.teacher.meters()) if teachers.teacher else {}
    if teachers.judge is not None and teachers.judge is not teachers.teacher:
        for name, meter in teachers.judge.meters().items():
            found[f"{name} (judge)" if name in found else name] = meter
    return found


@contextmanager
def mirroring(plan: Plan, note: Callable[[str], None]) -> Generator["Mirror | None"]:
    """Where kept replies are copied to, if pipeline.toml says so; `note` hears when not all of them arrived."""
    table, url = plan.pipeline.replies, plan.pipeline.mirror
    if url is None:
        yield None
        return
    from teachers.replay.mirror import Mirror

    with Mirror(url, table.segment_mib << 20, table.segment_s) as mirror:
        yield mirror
    if mirror.warning():
        note(mirror.warning())


async def open_teachers(plan: Plan, flow: FlowPlan, stack: AsyncExitStack, budget: Budget | None = None) -> Teachers:
    """Open the flow's teacher and judge; neither is started before it is first asked."""
    budget = budget or budget_of(plan, flow)
    opened: dict[str, OpenTeacher] = {}
    for name in (flow.table.teacher, flow.table.judge):
        if name is not None and name not in opened:
            config = plan.pipeline.teacher(name)
            opened[name] = await stack.enter_async_context(
                open_teacher(name, config, root=plan.root, others=plan.pipeline.teachers, budget=budget)
            )
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
