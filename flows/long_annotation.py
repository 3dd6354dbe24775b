"""Long annotation: an image, a volume or a report becomes a structured long description."""

from typing import Any

from prefect import flow

from flows.params import FlowParams
from flows.stages import run_on_prefect


@flow(
    name="long-annotation",
    flow_run_name="long-annotation",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
async def long_annotation(params: FlowParams) -> dict[str, Any]:
    """Structured long descriptions: acquisition, organs, findings, relations, impression.

    Args:
        params: which records of which sources, with which teacher, from which pipeline.toml.
    """
    return await run_on_prefect("long-annotation", params)
