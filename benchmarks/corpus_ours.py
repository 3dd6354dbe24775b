"""Calabash and bare pyarrow in the comparison of `corpus_write`: the same rows, as whole samples.

    python -m benchmarks.corpus_ours write|overhead --rows FOLDER --data FOLDER [--variant bare|bare-xxh3]

A row has every column of the schema, with the provenance that a generated row has: one ask, three verdicts.
"""

import hashlib
import json
import os
import time
import zlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import xxhash

from benchmarks.corpus_rows import Row, load_rows
from corpus.changing.taking import take_snapshot
from corpus.commit.shards import warm_up
from corpus.commit.writer import TaskWriter
from schemas.arrow import SAMPLE_SCHEMA
from schemas.sample import Sample
from schemas.task import Tally, Task

SOURCE: Final = "bench"
TASK_ROWS: Final = 4_096
NUM_TASKS: Final = 40
"""Tasks of one row, for the overhead of a commit."""
QUESTION: Final = "Describe what this picture shows."


def sample_of(row: Row) -> Sample:
    """A row as a sample: picture and question, the text as the answer."""
    digest = hashlib.sha256(row.image).hexdigest()
    content = hashlib.sha256(f"{row.text}{digest}".encode()).hexdigest()
    part = {"type": "text", "text": QUESTION}
    tag = {"tag": "modality", "value": row.modality, "step": "metadata", "seen": row.modality, "confidence": 1.0}
    ask = {
        "role": "generate",
        "prompt_sha256": content[:64],
        "teacher": "bench",
        "model": "bench-model",
        "revision": "1",
        "seed": row.idx,
        "attempt": 0,
        "reply_key": digest[:32],
    }
    return Sample(
        id=f"captioning-{row.id}",
        split="train",
        grade="production",
        flow="captioning",
        task="caption",
        domain="medical",
        language="en",
        messages=(
            {"role": "user", "content": [{"type": "image", "text": None}, part]},
            {"role": "assistant", "content": [{"type": "text", "text": row.text}]},
        ),
        images=({"bytes": row.image, "path": None},),
        media=(
            {
                "kind": "image",
                "first": 0,
                "count": 1,
                "times": [],
                "positions": [],
                "window": None,
                "spacing": None,
                "sha256": digest,
                "origin": f"{SOURCE}/{row.id}.jpg",
            },
        ),
        modality=row.modality,
        organ_system=row.organ,
        organ_systems_also=(),
        scope="organ",
        tag_evidence=(tag, {**tag, "tag": "organ_system", "value": row.organ, "seen": row.organ}),
        gold=None,
        answer_type="free_text",
        pass_rate=None,
        judge_score=None,
        source=SOURCE,
        source_revision="1",
        record_id=row.id,
        group_id=row.id,
        license="CC0-1.0",
        license_class="public-domain",
        generator="caption@1",
        asks=(ask,),
        teacher_license="Apache-2.0",
        verdicts=tuple(
            {"gate": gate, "passed": True, "detail": "", "score": None} for gate in ("length", "language", "grounding")
        ),
        content_sha256=content,
        num_text_chars=len(row.text),
        num_frames=1,
        num_pixels=262_144,
    )


def task_of(start: int, stop: int) -> Task:
    """The task that makes rows [start, stop)."""
    return Task("captioning", SOURCE, "s0", start, stop, {"generator": "caption@1", "seed": 7})


def tallies_of(samples: list[Sample]) -> list[Tally]:
    """What a run would count."""
    kept = Counter((sample.organ_system or "", sample.modality or "") for sample in samples)
    return [Tally(*cell, num_in=count, num_generated=count, num_kept=count) for cell, count in sorted(kept.items())]


def write(samples: list[Sample], data: Path) -> None:
    """Every task of 4,096 rows, committed."""
    for start in range(0, len(samples), TASK_ROWS):
        some = samples[start : start + TASK_ROWS]
        with TaskWriter(data, task_of(start, start + TASK_ROWS)) as writer:
            for sample in some:
                writer.add(sample)
            writer.commit(tallies_of(some), {"seconds": 1.0})


class Hashing:
    """A file that pyarrow writes to, hashed as it is written: xxh3-128 and, as a shard's bytes are, CRC-32."""

    def __init__(self, path: Path, crc32: bool) -> None:
        self.file, self.xxh3, self.closed = path.open("wb"), xxhash.xxh3_128(), False
        self.crc32 = 0 if crc32 else None

    def write(self, data: Any) -> int:
        """Write and hash."""
        view = memoryview(data)
        self.xxh3.update(view)
        if self.crc32 is not None:
            self.crc32 = zlib.crc32(view, self.crc32)
        return self.file.write(view)

    def tell(self) -> int:
        """Bytes so far."""
        return self.file.tell()

    def flush(self) -> None:
        """Nothing is held back."""
        self.file.flush()

    def close(self) -> None:
        """Make it durable."""
        if not self.closed:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.closed = True


BARE_ROWS: Final = 512
"""Rows of a bare batch: about 16 MiB."""


def write_bare(samples: list[Sample], data: Path, crc32: bool = True) -> None:
    """The same columns by pyarrow's own stream writer, one durable, hashed file for every 4,096 rows."""
    for start in range(0, len(samples), TASK_ROWS):
        sink = Hashing(data / f"train-{start:07d}.arrow", crc32)
        with pa.ipc.new_stream(sink, SAMPLE_SCHEMA) as stream:
            for first in range(start, min(start + TASK_ROWS, len(samples)), BARE_ROWS):
                rows = [sample.row() for sample in samples[first : min(first + BARE_ROWS, start + TASK_ROWS)]]
                columns = [pa.array([row[field.name] for row in rows], field.type) for field in SAMPLE_SCHEMA]
                stream.write_batch(pa.record_batch(columns, schema=SAMPLE_SCHEMA))
        sink.close()
        (data / f"train-{start:07d}.json").write_text(json.dumps([sink.xxh3.hexdigest(), sink.crc32]))


def main() -> None:
    """Time a writer, with rows made samples before the clock; ours ends with entries, and then takes a snapshot."""
    import measured  # of the peers' folder, which only this process has on its path

    chosen = measured.options()
    warm_up()
    samples = [sample_of(row) for row in load_rows(chosen.rows)]
    if chosen.measure == "overhead":
        measured.report(**overhead(samples, chosen.data))
        return
    writers = {"": write, "bare": write_bare, "bare-xxh3": partial(write_bare, crc32=False)}
    measured.written(samples, chosen.data, writers[chosen.variant])
    if not chosen.variant:
        take_snapshot(chosen.data, [task_of(start, start + TASK_ROWS) for start in range(0, len(samples), TASK_ROWS)])


def overhead(samples: list[Sample], data: Path) -> dict[str, float]:
    """Milliseconds of a task of one row from `TaskWriter` to the commit entry read back: shard, entry, four fsyncs."""
    took: list[float] = []
    for sample in samples[:NUM_TASKS]:
        began = time.perf_counter()
        index = TASK_ROWS * len(samples) + len(took)
        with TaskWriter(data, task_of(index, index + 1)) as writer:
            writer.add(sample)
            writer.commit(tallies_of([sample]), {"seconds": 1.0})
        took.append(1e3 * (time.perf_counter() - began))
    took.sort()
    return {"p50_ms": took[len(took) // 2], "p90_ms": took[len(took) * 9 // 10]}


if __name__ == "__main__":
    main()
