"""The command that checks pipeline.toml before anything runs."""

import os
from pathlib import Path

import typer

from flows.commands.options import Config, Json, params_of
from flows.commands.printing import print_json
from flows.plan import make_plan
from schemas.errors import ConfigError
from schemas.pipeline import load


def check(config: Config = "pipeline.toml", json: Json = False) -> None:
    """Check every key, name, option, gate, key variable and policy rule of pipeline.toml; call nobody."""
    pipeline = load(Path(config))
    plan = make_plan(tuple(pipeline.flows), params_of(config))
    used = {name for flow in plan.flows for name in (flow.table.teacher, flow.table.judge) if name}
    for name in sorted(used):
        variable = pipeline.teachers[name].api_key_env
        if variable and not os.environ.get(variable):
            raise ConfigError(
                f"{config}: [teachers.{name}]: the environment variable {variable} is not set; "
                "export it with the endpoint's key"
            )
    if json:
        print_json({"ok": True, "flows": list(pipeline.flows), "teachers": sorted(used)})
        return
    typer.echo(
        f"{config} is sound: {len(plan.flows)} flows, {len(plan.tasks)} tasks, teachers {', '.join(sorted(used))}"
    )
