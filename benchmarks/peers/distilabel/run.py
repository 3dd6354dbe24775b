"""distilabel: LoadDataFromDicts, then TextGeneration over OpenAILLM."""

import os
import time

from common import encoded, options, report, rows

CHOSEN = options()
os.environ |= {
    "DISTILABEL_CACHE_DIR": f"{CHOSEN.folder}/cache",
    "DISTILABEL_LOG_LEVEL": "WARNING",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}

from distilabel.models import OpenAILLM  # noqa: E402
from distilabel.pipeline import Pipeline  # noqa: E402
from distilabel.steps import LoadDataFromDicts  # noqa: E402
from distilabel.steps.tasks import TextGeneration  # noqa: E402
from distilabel.steps.tasks.text_generation_with_image import TextGenerationWithImage  # noqa: E402


def cases() -> list[dict[str, object]]:
    """The cases under the names that its tasks read."""
    return [
        {"id": row["id"], "instruction": row["prompt"]} | ({"image": encoded(row["image"])} if "image" in row else {})
        for row in rows(CHOSEN)
    ]


if __name__ == "__main__":
    began = time.perf_counter()
    with Pipeline(name="bench") as pipeline:
        load = LoadDataFromDicts(data=cases(), batch_size=CHOSEN.in_flight)
        model = OpenAILLM(model="bench-model", base_url=CHOSEN.url, api_key="none")
        if CHOSEN.images:
            step = TextGenerationWithImage(llm=model, image_type="base64", input_batch_size=CHOSEN.in_flight)
        else:
            step = TextGeneration(
                llm=model, input_batch_size=CHOSEN.in_flight, add_raw_output=False, add_raw_input=False
            )
        load >> step
    made = pipeline.run(use_cache=True)["default"]["train"]
    report(len(made), sum(map(bool, made["generation"])), began)
