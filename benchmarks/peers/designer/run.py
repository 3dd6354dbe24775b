"""NeMo Data Designer: a seed data set and one text column."""

import os
import time
from pathlib import Path

from common import encoded, options, report, rows

CHOSEN = options()
os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "DATA_DESIGNER_HOME": f"{CHOSEN.folder}/home"}

import data_designer.config as dd  # noqa: E402
import pandas as pd  # noqa: E402
from data_designer.interface import DataDesigner  # noqa: E402


def seed() -> str:
    """The cases as a Parquet file; pictures must travel in it."""
    path = Path(CHOSEN.folder, "seed.parquet")
    if not path.exists():
        cases = [
            {"uid": row["id"], "asked": row["prompt"]} | ({"shown": encoded(row["image"])} if "image" in row else {})
            for row in rows(CHOSEN)
        ]
        pd.DataFrame(cases).to_parquet(path)
    return str(path)


def shown():
    """The column that holds the picture."""
    if not CHOSEN.images:
        return {}
    kind, form = dd.ModalityDataType.BASE64, dd.ImageFormat.JPG
    return {"multi_modal_context": [dd.ImageContext(column_name="shown", data_type=kind, image_format=form)]}


def main() -> None:
    """Create the data set and count it."""
    began = time.perf_counter()
    numbers = dd.ChatCompletionInferenceParams(
        max_parallel_requests=CHOSEN.in_flight, timeout=120, max_tokens=512, temperature=0.7
    )
    model = dd.ModelConfig(
        alias="m", model="bench-model", provider="bench", skip_health_check=True, inference_parameters=numbers
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=seed()))
    builder.add_column(dd.LLMTextColumnConfig(name="completion", model_alias="m", prompt="{{ asked }}", **shown()))
    provider = dd.ModelProvider(name="bench", endpoint=CHOSEN.url, provider_type="openai", api_key="none")
    designer = DataDesigner(artifact_path=f"{CHOSEN.folder}/artifacts", model_providers=[provider])
    designer.set_run_config(dd.RunConfig(buffer_size=1000, otel_metrics_port=None, disable_early_shutdown=True))
    resume = dd.ResumeMode.ALWAYS if CHOSEN.resume else dd.ResumeMode.NEVER
    made = designer.create(builder, num_records=CHOSEN.n, dataset_name="bench", resume=resume).load_dataset()
    report(len(made), int(made["completion"].astype(bool).sum()), began)


if __name__ == "__main__":
    main()
