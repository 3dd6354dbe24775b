"""Video description: a clip becomes a timed description of what is visible."""

from typing import Any

from prefect import flow

from flows.params import FlowParams
from flows.stages import run_on_prefect


@flow(
    name="video-description",
    flow_run_name="video-description",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
async def video_description(params: FlowParams) -> dict[str, Any]:
    """Timed descriptions of what a clip shows.

    Args:
        params: which records of which sources, with which teacher, from which pipeline.toml.
    """
    return await run_on_prefect("video-description", params)
