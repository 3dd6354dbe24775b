"""bespokelabs-curator: one `curator.LLM` over its openai backend."""

import os
import sys
import time
from pathlib import Path

from common import options, report, rows

CHOSEN = options()
os.environ |= {
    "CURATOR_CACHE_DIR": f"{CHOSEN.folder}/cache",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "CURATOR_VIEWER": "0",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_API_KEY": "none",
    "TELEMETRY_ENABLED": "false",
}
# its backend fetches a tokenizer at start; litellm ships the same file
for found in Path(sys.prefix).glob("lib/python3*/site-packages/litellm/litellm_core_utils/tokenizers"):
    os.environ["TIKTOKEN_CACHE_DIR"] = str(found)

from bespokelabs import curator  # noqa: E402
from datasets import Dataset  # noqa: E402

LIMITS = {
    "base_url": CHOSEN.url,
    "max_concurrent_requests": CHOSEN.in_flight,
    "max_requests_per_minute": 10_000_000,
    "max_tokens_per_minute": 100_000_000_000,
    "max_retries": 5,
    "require_all_responses": False,
    "seconds_to_pause_on_rate_limit": 1,
}


class Describe(curator.LLM):
    """Asks one case."""

    def prompt(self, row):
        """The prompt, and the picture where there is one."""
        return (row["prompt"], curator.types.Image(url=row["image"])) if "image" in row else row["prompt"]

    def parse(self, row, response):
        """A row of the result."""
        return {"id": row["id"], "prompt": row["prompt"], "completion": response}


if __name__ == "__main__":
    began = time.perf_counter()
    made = Describe(model_name="bench-model", backend="openai", backend_params=LIMITS)(
        Dataset.from_list(rows(CHOSEN))
    ).dataset
    report(len(made), sum(map(bool, made["completion"])), began)
