"""What grounds a teacher: a record's facts as plain lines for prompts and as one text for gates."""

from typing import Final

from schemas.record import Media, Record, Segment

SALIENT: Final = (
    "modality", "body part", "region", "tissue", "stain", "laterality", "view", "plane",
    "study description", "series description", "duration",
)  # fmt: skip
"""Metadata keys that say what a picture shows, most telling first; the rest is technique."""

VISIBLE: Final = frozenset((*SALIENT, "acquisition contrast")) - {"study description", "series description", "duration"}
"""Those whose value can be seen, so that a question may ask for it."""

MAX_SALIENT: Final = 5


def fact_lines(record: Record) -> tuple[str, ...]:
    """The publisher's facts, one `key: value` a line; the question and its answer are not among them."""
    facts = record.facts
    lines = [f"{key}: {value}" for key, value in facts.metadata.items() if value]
    lines += [f"label: {label}" for label in facts.labels]
    lines += [f"{_seconds(segment)}: {segment.label}" for segment in facts.segments if segment.label]
    lines += [f"caption: {facts.caption}"] if facts.caption else []
    lines += [f"report: {facts.report}"] if facts.report else []
    return tuple(lines)


def salient_lines(record: Record) -> tuple[str, ...]:
    """The few facts that say most, for teachers that lose the thread: at most `MAX_SALIENT` lines.

    A label that has a value of its own in the metadata (a volume, a count) is given with it.
    """
    metadata, labels = record.facts.metadata, record.facts.labels
    lines = [f"{key}: {metadata[key]}" for key in SALIENT if metadata.get(key)]
    lines += [f"{label}: {metadata[label]}" if label in metadata else f"label: {label}" for label in labels]
    if record.facts.caption and len(lines) < 3:
        lines.append(f"caption: {record.facts.caption}")
    return tuple(lines[:MAX_SALIENT])


def media_lines(record: Record) -> tuple[str, ...]:
    """What is known of the pictures themselves: kind, number of frames, duration, spacing, window."""
    return tuple(_media_line(media) for media in record.media)


def duration(media: Media) -> float:
    """Seconds from the first frame to one frame's time after the last; 0 when there are no times."""
    if len(media.times) < 2:
        return 0.0
    first, last = media.times[0], media.times[-1]
    return last - first + (last - first) / (len(media.times) - 1)


def facts_text(record: Record) -> str:
    """Everything a sample may say without inventing it, as one text: facts, media, question, hints."""
    parts = [*fact_lines(record), *media_lines(record), record.hints.text, record.hints.series_description]
    question = record.facts.question
    if question is not None:
        parts += [question.stem, *question.options, question.gold, question.explanation]
    return "\n".join(part for part in parts if part)


def _media_line(media: Media) -> str:
    parts = [media.kind if media.kind == "image" else f"{media.kind} of {len(media.frames)} frames"]
    seconds = duration(media)
    parts += [f"{seconds:.1f} s"] if seconds else []
    parts += [f"spacing {' x '.join(f'{value:g}' for value in media.spacing)} mm"] if media.spacing else []
    parts += [f"window {media.window}"] if media.window else []
    return ", ".join(parts)


def _seconds(segment: Segment) -> str:
    return f"{segment.start:.1f}-{segment.end:.1f} s"
