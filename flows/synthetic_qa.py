"""Synthetic QA: facts become open, yes/no and multiple-choice questions."""

from typing import Any

from prefect import flow

from flows.params import FlowParams
from flows.stages import run_on_prefect


@flow(
    name="synthetic-qa",
    flow_run_name="synthetic-qa",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
async def synthetic_qa(params: FlowParams) -> dict[str, Any]:
    """Questions and answers that need the image, made from facts.

    Args:
        params: which records of which sources, with which teacher, from which pipeline.toml.
    """
    return await run_on_prefect("synthetic-qa", params)
