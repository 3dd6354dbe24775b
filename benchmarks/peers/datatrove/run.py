"""datatrove: an InferenceRunner with checkpoints against a server that is already there."""

import os
import time
from pathlib import Path

from common import encoded, options, report, rows

CHOSEN = options()
os.environ["HF_HUB_OFFLINE"] = "1"

from datatrove.data import Document  # noqa: E402
from datatrove.executor.local import LocalPipelineExecutor  # noqa: E402
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner  # noqa: E402
from datatrove.pipeline.writers import ParquetWriter  # noqa: E402


def documents(data=None, rank=0, world_size=1):
    """The cases as documents."""
    for row in rows(CHOSEN):
        yield Document(text=row["prompt"], id=str(row["id"]), metadata={"image": row.get("image")})


async def rollout(document, generate):
    """Ask one case."""
    content = document.text
    if document.metadata["image"]:
        url = f"data:image/jpeg;base64,{encoded(document.metadata['image'])}"
        content = [{"type": "text", "text": document.text}, {"type": "image_url", "image_url": {"url": url}}]
    reply = await generate({"messages": [{"role": "user", "content": content}]})
    return reply["text"] if isinstance(reply, dict) else reply.text


def row_of(writer, document):
    """A row of the result."""
    return {"id": document.id, "prompt": document.text, "completion": document.metadata["rollout_results"][0]}


def main() -> None:
    """Run, then count what was written."""
    began = time.perf_counter()
    # its own client for 127.0.0.1 appends the path itself
    url = CHOSEN.url.removesuffix("/v1") if "//127.0.0.1:" in CHOSEN.url else CHOSEN.url
    config = InferenceConfig(
        server_type="endpoint",
        model_name_or_path="bench-model",
        endpoint_url=url,
        api_key="none",
        max_concurrent_generations=CHOSEN.in_flight,
        request_timeout=120,
        metric_interval=60,
    )
    name = "${rank}_${chunk_index}.parquet"
    runner = InferenceRunner(
        rollout_fn=rollout,
        config=config,
        output_writer=ParquetWriter(f"{CHOSEN.folder}/out", output_filename=name, adapter=row_of),
        checkpoints_local_dir=f"{CHOSEN.folder}/checkpoints",
        records_per_chunk=200 if CHOSEN.images else 1000,
        skip_bad_requests=True,
    )
    LocalPipelineExecutor([documents, runner], logging_dir=f"{CHOSEN.folder}/logs", tasks=1, workers=1).run()
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in sorted(Path(CHOSEN.folder, "out").glob("*.parquet"))]
    made = [text for table in tables for text in table["completion"].to_pylist()]
    report(len(made), sum(map(bool, made)), began)


if __name__ == "__main__":
    main()
