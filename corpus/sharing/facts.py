"""What a dataset card says of a corpus, as numbers: its rows, what made them, what was learnt of them later."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from corpus.commit.entries import CommitEntry
from corpus.layout import cell
from corpus.manifest.joining import joined
from corpus.reader.corpus import Corpus
from corpus.sharing.counting import samples_of, tally

COUNTED: Final = (
    "flow", "source", "split", "grade", "domain", "language", "modality", "license", "license_class", "answer_type",
)  # fmt: skip
"""The columns whose values a card counts."""
PLACED: Final = ("organ_system", "scope", "modality")
SUMMED: Final = ("num_text_chars", "num_frames", "num_pixels")


@dataclass(frozen=True, slots=True)
class SourceNote:
    """What a card says of a source; `redistribute_media` is whether its pictures may be passed on."""

    id: str
    title: str
    citation: str
    license: str
    redistribute_media: bool


@dataclass(slots=True)
class Yield:
    """What a flow's tasks did with their records; `usd` is US dollars."""

    num_in: int = 0
    num_generated: int = 0
    num_kept: int = 0
    num_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True)
class Provenance:
    """What made the rows. `teachers` are (role, model, revision, licence) with tasks; `prompts`, `generators` and
    `gates` are by flow."""

    yields: dict[str, Yield] = field(default_factory=dict[str, Yield])
    teachers: Counter[tuple[str, str, str, str]] = field(default_factory=Counter[tuple[str, str, str, str]])
    prompts: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    generators: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    gates: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    revisions: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    ended: str = ""
    """The day (UTC) of the last task, as 2026-01-31."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """A derived column or a drop: its rows, and for a drop its reasons."""

    name: str
    kind: str
    num_rows: int
    columns: tuple[str, ...]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """The numbers of a card. `lengths` are rows by the power of two below their characters (-1: none)."""

    counts: Mapping[str, Counter[str | None]]
    cells: Counter[str]
    lengths: Counter[int]
    sums: Counter[str]
    num_rows: int
    num_with_media: int
    made: Provenance
    learnt: tuple[Learnt, ...]


def facts_of(corpus: Corpus) -> Facts:
    """The numbers of a corpus as it is filtered; reads the samples tables and the commit entries, no shard."""
    counts: dict[str, Counter[str | None]] = {name: Counter() for name in COUNTED}
    cells: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    sums: Counter[str] = Counter()
    num_with_media = 0
    for rows in samples_of(corpus, (*dict.fromkeys((*COUNTED, *PLACED)), *SUMMED)):
        for name in COUNTED:
            tally(rows.column(name), counts[name])
        for place in rows.group_by(list(PLACED)).aggregate([([], "count_all")]).to_pylist():
            cells[cell(*(place[name] for name in PLACED))] += place["count_all"]
        chars: Counter[Any] = Counter()
        tally(rows.column("num_text_chars"), chars)
        for number, times in chars.items():
            lengths[number.bit_length() - 1] += times
            sums["num_text_chars"] += number * times
        frames: Counter[Any] = Counter()
        tally(rows.column("num_frames"), frames)
        num_with_media += sum(times for number, times in frames.items() if number)
        sums["num_frames"] += sum(number * times for number, times in frames.items())
    made = provenance_of(corpus.snapshot.read_entries(), set(map(str, counts["flow"])), set(map(str, counts["source"])))
    return Facts(counts, cells, lengths, sums, len(corpus), num_with_media, made, learnt_of(corpus))


def provenance_of(entries: Iterable[CommitEntry], flows: set[str], sources: set[str]) -> Provenance:
    """What made the rows of some flows and sources, from their commit entries."""
    made = Provenance()
    for entry in entries:
        if entry.flow not in flows or entry.source not in sources:
            continue
        recipe = entry.recipe
        total = made.yields.setdefault(entry.flow, Yield())
        for one in entry.tallies:
            total.rejected.update(one.rejected)
            for name in ("num_in", "num_generated", "num_kept", "num_requests", "prompt_tokens", "completion_tokens"):
                setattr(total, name, getattr(total, name) + getattr(one, name))
            total.usd += one.usd
        made.teachers.update(_teachers(recipe))
        made.prompts.setdefault(entry.flow, {}).update(recipe.get("prompts", {}))
        name = f"{recipe.get('generator', 'unknown')}@{recipe.get('generator_version', '?')}"
        made.generators.setdefault(entry.flow, set()).add(name)
        made.gates.setdefault(entry.flow, recipe.get("gates", {}))
        ended = time.gmtime(float(entry.made.get("ended", 0)))
        made.ended = max(made.ended, time.strftime("%Y-%m-%d", ended)) if entry.made.get("ended") else made.ended
        made.revisions.setdefault(entry.source, set()).add(str(recipe.get("source_revision", "unknown")))
    return made


def learnt_of(corpus: Corpus) -> tuple[Learnt, ...]:
    """Every derived column and drop of the snapshot; a drop's reasons are counted by its first text column."""
    found: list[Learnt] = []
    for one in corpus.snapshot.derived:
        reasons: Counter[Any] = Counter()
        text = next((name for name, kind in one.columns.items() if kind == "string"), None)
        if one.kind == "drop" and text is not None:
            tally(joined(corpus.places, one).column(text).drop_null(), reasons)
        found.append(Learnt(one.name, one.kind, one.num_rows, tuple(one.columns), reasons))
    return tuple(found)


def _teachers(recipe: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str]]:
    for role in ("teacher", "judge"):
        first = recipe.get(role)
        for one in (first, *first.get("fallbacks", ())) if first else ():
            yield role, str(one["model"]), str(one.get("revision")), str(one["license"]["name"])
