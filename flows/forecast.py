"""What a run will cost and keep, from a pilot whose replies the run replays: nothing is paid twice."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields
from typing import Any

from flows.intervals import Interval, left_over, summed
from flows.params import FlowParams
from flows.pilot import ALL, Pilot, Trial, chosen, trials_of
from flows.plan import FlowPlan, Plan, make_plan
from flows.progress import WATCHER, Watcher, ticking
from flows.running import budget_of, meters_of, open_teachers
from schemas.errors import ConfigError
from schemas.pipeline import Budget
from teachers.budget import KINDS
from teachers.meter import Account


@dataclass(frozen=True, slots=True)
class Expected:
    """What one teacher (`"all"`: all of them) will be asked for one source of one flow after the pilot.

    `kept` counts samples before the gates that look at a whole task.
    """

    flow: str
    source: str
    teacher: str
    num_tried: int
    num_left: int
    requests: Interval
    prompt_tokens: Interval
    completion_tokens: Interval
    tokens: Interval
    usd: Interval
    kept: Interval

    def as_dict(self) -> dict[str, Any]:
        """Plain data, intervals by their ends."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value.as_dict() if isinstance(value, Interval) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one limit of one budget suffices for what is left: `"yes"`, `"perhaps"` or `"no"`."""

    budget: str
    kind: str
    limit: float
    needed: Interval
    suffices: str


async def forecast(names: tuple[str, ...], params: FlowParams, num: int) -> tuple[Plan, list[Expected]]:
    """Ask for `num` missing records of each source of each flow; what the others will take.

    Raises as a run does; a budget that is reached is a TeacherError, and every reply is kept.
    """
    if num < 2:
        raise ConfigError(f"-n {num}: a pilot needs two records of each source to tell how much they differ")
    plan, watcher = make_plan(names, params), WATCHER.get() or Watcher()
    found: list[Expected] = []
    for flow in plan.flows:
        places = {source: chosen(plan, flow, source, num) for source in dict.fromkeys(t.source for t in flow.missing)}
        budget = budget_of(plan, flow)
        watcher.begin(flow.flow, sum(map(len, places.values())), budget)
        async with ticking(watcher), AsyncExitStack() as stack:
            teachers = await open_teachers(plan, flow, stack, budget)
            watcher.opened(flow.flow, lambda teachers=teachers: meters_of(teachers))
            for source, of_source in places.items():
                trials = await trials_of(Pilot(plan, teachers, watcher), source, of_source)
                found += expected(flow, source, trials)
            teachers.vouch()
            watcher.end(flow.flow)
    return plan, found


def expected(flow: FlowPlan, source: str, trials: Sequence[Trial]) -> list[Expected]:
    """A line per teacher and, last, one over all of them: what the records that were not tried will take."""
    num_all = sum(task.num_records for task in flow.missing if task.source == source)
    names = [*dict.fromkeys(name for trial in trials for name in trial.asked if name != ALL), ALL]

    def left(value: Callable[[Trial, Account], float], name: str) -> Interval:
        return left_over([value(trial, trial.asked.get(name, Account())) for trial in trials], num_all)

    return [
        Expected(
            flow=flow.flow,
            source=source,
            teacher=name,
            num_tried=len(trials),
            num_left=num_all - len(trials),
            requests=left(lambda _, asked: asked.num_requests, name),
            prompt_tokens=left(lambda _, asked: asked.prompt_tokens, name),
            completion_tokens=left(lambda _, asked: asked.completion_tokens, name),
            tokens=left(lambda _, asked: asked.prompt_tokens + asked.completion_tokens, name),
            usd=left(lambda _, asked: asked.usd, name),
            kept=left(lambda trial, _: trial.num_kept, name),
        )
        for name in names
    ]


def verdicts(plan: Plan, lines: Sequence[Expected]) -> list[Verdict]:
    """Every limit of every budget against what the run will need of it."""
    sums = [line for line in lines if line.teacher == ALL]
    found = list(_verdicts("budget", plan.pipeline.budget, sums))
    for flow in plan.flows:
        own = [line for line in sums if line.flow == flow.flow]
        found += _verdicts(f"flows.{flow.flow}.budget", flow.table.budget, own)
    return found


def _verdicts(name: str, budget: Budget, lines: Sequence[Expected]) -> Iterable[Verdict]:
    for kind in KINDS:
        limit = getattr(budget, kind)
        if limit is not None:
            needed = summed(getattr(line, kind) for line in lines)
            suffices = "yes" if needed.high <= limit else "no" if needed.low > limit else "perhaps"
            yield Verdict(name, kind, limit, needed, suffices)
