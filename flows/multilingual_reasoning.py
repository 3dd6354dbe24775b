"""Multilingual reasoning: a question with a gold answer becomes verified reasoning in each language."""

from typing import Any

from prefect import flow

from flows.params import FlowParams
from flows.stages import run_on_prefect


@flow(
    name="multilingual-reasoning",
    flow_run_name="multilingual-reasoning",
    retries=0,
    persist_result=False,
    validate_parameters=True,
)
async def multilingual_reasoning(params: FlowParams) -> dict[str, Any]:
    """Reasoning that a verifier follows to the gold answer, in the target languages.

    Args:
        params: which records of which sources, with which teacher, from which pipeline.toml.
    """
    return await run_on_prefect("multilingual-reasoning", params)
