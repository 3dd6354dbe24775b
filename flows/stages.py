"""What the five flows share on Prefect's side: one task run per task, one artifact per flow run."""

from dataclasses import asdict
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from corpus.audit.stats import cells_of
from flows.params import FlowParams
from flows.plan import make_plan
from flows.report import markdown_table
from flows.running import FlowReport, run_flow
from flows.synthesis import Shop, synthesize
from schemas.task import Task


@task(task_run_name="{title}", cache_policy=NO_CACHE, persist_result=False)
async def make_task(title: str, fingerprint: str, work: Any) -> int:
    """Make and commit one task of the corpus; returns how many samples it kept."""
    one, shop = work
    entry = await synthesize(one, shop)
    return sum(tally.num_kept for tally in entry.tallies)


async def through_prefect(one: Task, shop: Shop) -> None:
    """Run a task as a Prefect task run; resuming is the commit entries' business, never the cache's."""
    # quoted: Prefect must not walk into (or hash) an open teacher
    await make_task(title=one.title, fingerprint=one.fingerprint, work=quote((one, shop)))


async def run_on_prefect(name: str, params: FlowParams) -> dict[str, Any]:
    """The body of every flow: plan, make what is missing, snapshot, publish the table as an artifact."""
    report = await run_flow(name, params, through_prefect)
    await _publish(report, params)
    return asdict(report)


async def _publish(report: FlowReport, params: FlowParams) -> None:
    plan = make_plan((report.flow,), params)
    table = markdown_table(cells_of(plan.entries))
    title = f"# {report.flow}\n\n{report.num_made} of {len(report.tasks)} tasks were made in this run."
    await acreate_markdown_artifact(key=f"{report.flow}-table", markdown=f"{title}\n\n{table}")
