"""The command that checks pipeline.toml before anything runs."""

from pathlib import Path

import typer

from flows.commands.options import Config, Json, params_of
from flows.commands.printing import print_json
from flows.plan import make_plan
from schemas.pipeline import load
from teachers.opening import check_place, key_of


def check(config: Config = "pipeline.toml", json: Json = False) -> None:
    """Check every key, name, option, gate, key variable and policy rule of pipeline.toml; call nobody."""
    pipeline = load(Path(config))
    plan = make_plan(tuple(pipeline.flows), params_of(config))
    named = {name for flow in plan.flows for name in (flow.table.teacher, flow.table.judge) if name}
    used = named | {other for name in named for other in pipeline.teachers[name].fallback}
    for name in sorted(used):
        check_place(name, pipeline.teachers[name])
        key_of(name, pipeline.teachers[name])
    if json:
        print_json({"ok": True, "flows": list(pipeline.flows), "teachers": sorted(used)})
        return
    typer.echo(
        f"{config} is sound: {len(plan.flows)} flows, {len(plan.tasks)} tasks, teachers {', '.join(sorted(used))}"
    )
