"""Valid samples, rejects, tasks and tallies with small real PNGs, for tests of any package."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from PIL import Image

from schemas.record import Reject
from schemas.sample import Sample, content_sha256, split_of
from schemas.task import Tally, Task

CELLS = (
    ("Respiratory", "organ", "CT"),
    ("Nervous", "organ", "MRI"),
    (None, "Whole Body", "X-Ray"),
    ("Skin/Integumentary", "organ", "Digital Photograph"),
    ("Digestive", "organ", None),
)


@cache
def make_png(seed: int, width: int = 8, height: int = 8) -> bytes:
    """A real PNG whose pixels follow from `seed`."""
    pixels = hashlib.shake_256(str(seed).encode()).digest(width * height * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(buffer, "PNG")
    return buffer.getvalue()


def make_sample(
    i: int,
    *,
    flow: str = "captioning",
    source: str = "demo-source",
    shard: str = "s0",
    modality: str | None = "CT",
    organ_system: str | None = "Respiratory",
    scope: str = "organ",
    split: str | None = None,
    grade: str = "production",
    license_class: str = "attribution",
    language: str = "en",
    group_id: str | None = None,
    text: str | None = None,
    num_images: int | None = None,
    image_size: int = 8,
) -> Sample:
    """Sample `i` of a source; images follow from `i`, and there are none where `modality` is None."""
    count = num_images if num_images is not None else (0 if modality is None else 1)
    pictures = [make_png(i * 10 + k, image_size, image_size) for k in range(count)]
    group = f"{source}:{group_id or f'{shard}-patient-{i // 2}'}"
    answer = text or f"Finding number {i}."
    parts = [{"type": "image", "text": None}] * count
    messages = (
        {"role": "user", "content": [*parts, {"type": "text", "text": "Describe what is shown."}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    )
    hashes = tuple(hashlib.sha256(data).hexdigest() for data in pictures)
    return Sample(
        id=f"{flow}-{source}-{shard}-{i:06d}",
        split=split or split_of(group),  # pyright: ignore[reportArgumentType]
        grade=grade,  # pyright: ignore[reportArgumentType]
        flow=flow,
        task="caption",
        domain="medical",
        language=language,
        messages=messages,
        images=tuple({"bytes": data, "path": None} for data in pictures),
        media=tuple(_medium(k, digest) for k, digest in enumerate(hashes)),
        modality=modality,
        organ_system=organ_system,
        organ_systems_also=(),
        scope=scope,
        tag_evidence=(),
        gold=None,
        answer_type="free_text",
        pass_rate=None,
        judge_score=None,
        source=source,
        source_revision="r1",
        record_id=f"{shard}-record-{i}",
        group_id=group,
        license="CC-BY-4.0",
        license_class=license_class,
        generator="caption@1",
        asks=(),
        teacher_license=None,
        verdicts=({"gate": "length", "passed": True, "detail": "", "score": None},),
        content_sha256=content_sha256(messages, hashes),
        num_text_chars=len(answer),
        num_frames=count,
        num_pixels=count * image_size * image_size,
    )


def make_samples(start: int, stop: int, **changes: Any) -> list[Sample]:
    """Samples [start, stop) that go through `CELLS` in turn."""
    samples: list[Sample] = []
    for i in range(start, stop):
        organ_system, scope, modality = CELLS[i % len(CELLS)]
        tags = {"organ_system": organ_system, "scope": scope, "modality": modality}
        samples.append(make_sample(i, **{**tags, **changes}))
    return samples


def make_reject(i: int, reason: str = "too-short", shard: str = "s0") -> Reject:
    """A reject of record `i`."""
    return Reject(record_id=f"{shard}-record-{i}", stage="gate", reason=reason, text="No.")


def make_task(
    start: int = 0,
    stop: int = 10,
    *,
    flow: str = "captioning",
    source: str = "demo-source",
    shard: str = "s0",
    recipe: str = "r1",
) -> Task:
    """A task over records [start, stop)."""
    return Task(flow=flow, source=source, shard=shard, start=start, stop=stop, recipe={"generator": recipe, "seed": 7})


def make_tallies(samples: Iterable[Sample], rejects: Sequence[Reject] = ()) -> list[Tally]:
    """Tallies that agree with the rows; rejects count in the first cell."""
    kept = Counter((s.organ_system or s.scope, s.modality or "text") for s in samples)
    tallies = [
        Tally(organ, modality, num_in=count, num_generated=count, num_kept=count, prompt_tokens=10 * count)
        for (organ, modality), count in sorted(kept.items())
    ]
    if rejects:
        tallies = tallies or [Tally("unresolved", "unresolved")]
        tallies[0].rejected = dict(Counter(reject.reason for reject in rejects))
        tallies[0].num_in += len(rejects)
    return tallies


def _medium(first: int, digest: str) -> dict[str, Any]:
    return {
        "kind": "image",
        "first": first,
        "count": 1,
        "times": [],
        "positions": [],
        "window": None,
        "spacing": None,
        "sha256": digest,
        "origin": f"https://example.org/{digest[:8]}",
    }
