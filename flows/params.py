"""The typed parameters of every flow run: what Prefect shows as a form and the command line fills."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Config = Annotated[str, Field(description="Path of pipeline.toml.")]
Limit = Annotated[int | None, Field(ge=1, description="Take at most this many records of each source.")]
Sources = Annotated[tuple[str, ...], Field(description="Only these of the flow's sources.")]
Tags = Annotated[tuple[str, ...], Field(description="Only records with one of these tags, such as CT or Respiratory.")]
TeacherName = Annotated[str | None, Field(description="Another of pipeline.toml's teachers.")]
ParallelTasks = Annotated[int, Field(ge=1, description="Tasks under way at once.")]
TakeSnapshot = Annotated[bool, Field(description="Take a snapshot when the flow ends.")]


class FlowParams(BaseModel):
    """One flow run. What is left out comes from pipeline.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Config = "pipeline.toml"
    limit: Limit = None
    sources: Sources = ()
    tags: Tags = ()
    teacher: TeacherName = None
    parallel_tasks: ParallelTasks = 2
    snapshot: TakeSnapshot = True
