"""From a conversation to a sample: id, tags, licence, provenance. The one place where they are stamped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

from schemas.ask import Reply, Request
from schemas.conversation import Conversation, Message, Verdict
from schemas.license import License, meet
from schemas.record import Evidence, Frame, Media, Record, Tags
from schemas.sample import Grade, Sample, Struct, content_sha256, split_of
from schemas.task import Task

SUFFIX: Final = {"image/png": "png", "image/jpeg": "jpg"}
"""File endings of the two frame types."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is the same for every row of a task.

    `licenses` has the terms of every teacher that may have written, by name; `embedded` names those whose
    rows are of grade demo. `grade` is demo already when the judge is one of them.
    """

    flow: str
    generator: str
    grade: Grade
    licenses: Mapping[str, License] = field(default_factory=dict[str, License])
    embedded: frozenset[str] = frozenset()


def stamp_of(task: Task) -> Stamp:
    """The stamp that a task's recipe asks for."""
    recipe = task.recipe
    teacher, judge = recipe["teacher"], recipe["judge"]
    writers = [teacher, *teacher["fallbacks"]] if teacher else []
    return Stamp(
        flow=task.flow,
        generator=f"{recipe['generator']}@{recipe['generator_version']}",
        grade="demo" if judge and judge["embedded"] else "production",
        licenses={writer["name"]: License(**writer["license"]) for writer in writers},
        embedded=frozenset(writer["name"] for writer in writers if writer["embedded"]),
    )


def sample_of(
    stamp: Stamp,
    record: Record,
    tags: Tags,
    conversation: Conversation,
    verdicts: Sequence[Verdict],
    index: int,
) -> Sample:
    """The row for the record's conversation number `index`, counted over what the generator made."""
    messages, frames = tuple(_message(message) for message in conversation.messages), record.frames
    writers = sorted({reply.teacher for _, reply in conversation.asks})  # whoever really answered
    licenses = {stamp.licenses[name].name: stamp.licenses[name] for name in writers}
    terms = reduce(meet, licenses.values(), record.terms.license)
    return Sample(
        id=f"{stamp.flow}/{record.source}/{record.id}#{index}",
        split=record.split or split_of(record.group),
        grade="demo" if stamp.embedded.intersection(writers) else stamp.grade if writers else "production",
        flow=stamp.flow,
        task=conversation.task,
        domain=record.domain,
        language=conversation.language,
        messages=messages,
        images=tuple(_image(record, frame, number) for number, frame in enumerate(frames)),
        media=_media(record.media),
        modality=tags.modality,
        organ_system=tags.organ_system,
        organ_systems_also=tuple(map(str, tags.organ_systems_also)),
        scope=tags.scope,
        tag_evidence=tuple(_evidence(evidence) for evidence in tags.evidence),
        gold=conversation.gold,
        answer_type=conversation.answer_type,
        pass_rate=conversation.pass_rate,
        judge_score=conversation.judge_score,
        source=record.source,
        source_revision=record.source_revision,
        record_id=record.id,
        group_id=record.group,
        license=terms.name,
        license_class=terms.license_class,
        generator=stamp.generator,
        asks=tuple(_ask(request, reply) for request, reply in conversation.asks),
        teacher_license=" AND ".join(licenses) or None,
        verdicts=tuple(_verdict(verdict) for verdict in verdicts),
        content_sha256=content_sha256(messages, tuple(frame.sha256 for frame in frames)),
        num_text_chars=sum(len(message.text) for message in conversation.messages),
        num_frames=len(frames),
        num_pixels=sum(frame.width * frame.height for frame in frames),
    )


def _message(message: Message) -> Struct:
    images: list[Mapping[str, Any]] = [{"type": "image", "text": None}] * message.num_images
    return {"role": message.role, "content": [*images, {"type": "text", "text": message.text}]}


def _image(record: Record, frame: Frame, number: int) -> Struct:
    return {"bytes": frame.data, "path": f"{record.source}-{record.id}-{number:03d}.{SUFFIX[frame.mime]}"}


def _evidence(evidence: Evidence) -> Struct:
    return {
        "tag": evidence.tag,
        "value": evidence.value,
        "step": evidence.step,
        "seen": evidence.seen,
        "confidence": evidence.confidence,
    }


def _media(media: Sequence[Media]) -> tuple[Struct, ...]:
    rows: list[Struct] = []
    first = 0
    for one in media:
        rows.append(
            {
                "kind": one.kind,
                "first": first,
                "count": len(one.frames),
                "times": list(one.times),
                "positions": list(one.positions),
                "window": one.window,
                "spacing": list(one.spacing) if one.spacing else None,
                "sha256": one.sha256,
                "origin": one.origin,
            }
        )
        first += len(one.frames)
    return tuple(rows)


def _ask(request: Request, reply: Reply) -> Struct:
    return {
        "role": request.role,
        "prompt_sha256": request.prompt_sha256,
        "teacher": reply.teacher,
        "model": reply.model,
        "revision": reply.revision,
        "seed": request.sampling.seed,
        "attempt": request.attempt,
        "reply_key": reply.key,
    }


def _verdict(verdict: Verdict) -> Struct:
    return {
        "gate": verdict.gate,
        "passed": verdict.passed,
        "detail": verdict.detail or None,
        "score": verdict.score,
    }
