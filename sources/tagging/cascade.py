"""The cascade: header, dataset, lexicon; each step fills what is open and never overwrites."""

from collections.abc import Iterator

from schemas.record import Evidence, Record, Tags
from schemas.taxonomy import Modality, Scope
from sources.tagging import dataset, header, lexicon
from sources.tagging.found import Found


def tag(record: Record) -> Tags:
    """A record's tags, with the evidence for each.

    Text has no modality. Media whose modality no step can tell are `Modality.UNRESOLVED`, records whose place
    no step can tell `Scope.UNRESOLVED`, each with evidence of step "unresolved", so that they can be counted.
    General-domain records have no organ system: nothing is looked for.
    """
    steps = list(_steps(record))
    modality = next((step.modality for step in steps if step.modality), None)
    placed = next((step for step in steps if step.place), None)
    evidence: list[Evidence] = []
    if record.media:
        evidence.append(modality or _unresolved("modality"))
    tagged = Modality(evidence[0].value) if evidence else None
    if record.domain == "general":
        return Tags(tagged, None, Scope.UNRESOLVED, (), tuple(evidence))
    if placed is None or placed.place is None:
        evidence.append(_unresolved("organ_system"))
        return Tags(tagged, None, Scope.UNRESOLVED, (), tuple(evidence))
    place = placed.place
    value = (place.organ_system or place.scope).value
    evidence.append(Evidence("organ_system", value, placed.step, placed.seen, placed.confidence))
    return Tags(tagged, place.organ_system, place.scope, place.also, tuple(evidence))


def _steps(record: Record) -> Iterator[Found]:
    """The steps' findings, in order; the lexicon, which is the dearest, only where something is still open."""
    said = header.read(record.hints), dataset.read(record.hints)
    yield from said
    needs_modality = bool(record.media) and not any(step.modality for step in said)
    needs_place = record.domain != "general" and not any(step.place for step in said)
    if needs_modality or needs_place:
        yield lexicon.read(record)


def _unresolved(tag: str) -> Evidence:
    name = "modality" if tag == "modality" else "organ_system"
    return Evidence(name, "unresolved", "unresolved", "no step could tell", 0.0)
