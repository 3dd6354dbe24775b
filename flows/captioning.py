"""Captioning: an image and its facts become a short grounded caption."""

from typing import Any

from prefect import flow

from flows.params import FlowParams
from flows.stages import run_on_prefect


@flow(name="captioning", flow_run_name="captioning", retries=0, persist_result=False, validate_parameters=True)
async def captioning(params: FlowParams) -> dict[str, Any]:
    """Short grounded captions of images.

    Args:
        params: which records of which sources, with which teacher, from which pipeline.toml.
    """
    return await run_on_prefect("captioning", params)
