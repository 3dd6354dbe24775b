"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from flows.params import FlowParams
from schemas.errors import ConfigError
from schemas.pipeline import FLOWS, unknown

Config = Annotated[str, typer.Option("--config", "-c", help="Path of pipeline.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead.")]
Flows = Annotated[list[str] | None, typer.Argument(help=f"Flows: {', '.join(FLOWS)}.", show_default=False)]
All = Annotated[bool, typer.Option("--all", "-a", help="All flows of pipeline.toml.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Records of each source, at most.")]
Sources = Annotated[list[str] | None, typer.Option("--source", "-s", help="Only this source (repeatable).")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", "-t", help="Only records with this organ system or modality (repeatable)."),
]
TeacherName = Annotated[str | None, typer.Option("--teacher", help="Another teacher of pipeline.toml.")]
SnapshotName = Annotated[str, typer.Option("--snapshot", help="A snapshot such as v000003, or latest.")]

MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics", min=0, max=65_535, metavar="PORT", help="Serve Prometheus counters on loopback (0: a free port)."
    ),
]
MetricsPath = Annotated[
    Path | None, typer.Option("--metrics-file", help="Write Prometheus counters to this file every few seconds.")
]


def chosen_flows(flows: list[str] | None, all_flows: bool, configured: list[str]) -> tuple[str, ...]:
    """The flows that were asked for, in pipeline.toml's order; ConfigError for none or an unknown one."""
    if all_flows:
        return tuple(configured)
    if not flows:
        raise ConfigError(f"which flows? name some of {', '.join(configured)}, or give --all")
    for flow in flows:
        if flow not in configured:
            raise ConfigError(unknown("flow", flow, configured))
    return tuple(flow for flow in configured if flow in flows)


def params_of(
    config: str,
    limit: int | None = None,
    sources: list[str] | None = None,
    tags: list[str] | None = None,
    teacher: str | None = None,
    snapshot: bool = True,
) -> FlowParams:
    """The command line's wishes as a flow's parameters."""
    return FlowParams(
        config=config,
        limit=limit,
        sources=tuple(sources or ()),
        tags=tuple(tags or ()),
        teacher=teacher,
        snapshot=snapshot,
    )
