"""The whole Hugging Face dataset card: front matter, tables, pictures, limits, sources, and Croissant beside it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from corpus.sharing.configs import Configs, yaml_of
from corpus.sharing.croissant import LIMITS, Layout, croissant, croissant_bytes
from corpus.sharing.facts import Facts, SourceNote
from corpus.sharing.plots import plots_of
from corpus.sharing.text import cell_table, counts, splits, table

PICTURES: Final = "card"
"""The folder of a card's pictures."""
CROISSANT: Final = "croissant.json"
MAX_REASONS: Final = 20
"""Reasons of rejects or drops that a table names; the rest are summed."""
YIELD_COLUMNS: Final = {
    "num_in": "records",
    "num_generated": "generated",
    "num_kept": "kept",
    "num_requests": "requests",
    "prompt_tokens": "tokens in",
    "completion_tokens": "tokens out",
}
"""The columns of the table of yields, by the fields that they show."""

PAGE: Final = """\
---
pretty_name: {title}
license: other
license_name: mixed
language: {languages}
task_categories: [visual-question-answering, image-text-to-text, question-answering, text-generation]
size_categories: [{size}]
tags: [medical, multimodal, croissant]
{configs}dataset_info: {info}
---

# {title}, snapshot {name}

Medical conversations about images, volumes, videos and text, each traceable to a public record, its
licence and what made it. {num_rows:,} rows ({splits}), {num_with_media:,} of them with images;
{frames:,} images in all.
{demo}
{usage}
`load_dataset` configurations: {names}.

## What is in it

{cells}

{pictures}

{languages_table}

{answers}

## Licences

There is no one licence: `license` and `license_class` say for each row what its source and its teacher allow, and
rows of different classes never share a file.{withheld}

{classes}

{licenses}

## How it was made

Records of public datasets at pinned revisions; a generator asks a teacher about each; gates check what it wrote, and
what they refuse is kept apart with its reason. `generator`, `asks` and `verdicts` say it for each row.

{yields}

{teachers}

{prompts}

{gates}

{rejects}

## What was learnt later

{learnt}
{reports}
## Splits

The publisher's own where there is one, else a hash of patient, article, study or video: none of them is in two splits.

## Known limits

{limits}

## Personal and sensitive information

Health data of de-identified people, as the sources published them. DICOM headers pass an allow-list, text in pictures
is masked. To have rows withdrawn, name them by `id`, `source` and `record_id`: the next snapshot will be without them.

## Sources

Cite the sources whose rows you use.

{sources}

{digest}
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a card is of: the rows' files and columns, and words that differ between a corpus and its exports.

    `reports` are sections of others, Markdown by title.
    """

    name: str
    version: str
    digest: str
    configs: Configs
    layout: Layout
    usage: str
    sources: Sequence[SourceNote]
    title: str = "Calabash corpus"
    withheld: int = 0
    reports: Mapping[str, str] | None = None


def full_card(facts: Facts, shown: Shown) -> dict[str, bytes]:
    """The card's files by path: README.md, its pictures, croissant.json."""
    plots = plots_of(facts)
    metadata = croissant(shown.title.lower().replace(" ", "-"), shown.version, facts, shown.sources, shown.layout)
    return {
        **{f"{PICTURES}/{name}": data for name, data in plots.items()},
        CROISSANT: croissant_bytes(metadata),
        "README.md": page(facts, shown, list(plots)).encode(),
    }


def page(facts: Facts, shown: Shown, plots: Sequence[str]) -> str:
    """The README."""
    demo = facts.counts["grade"]["demo"]
    held = (
        f"\nThe images of {shown.withheld:,} rows may not be passed on: `withheld` has their hashes in place of "
        "`images`, and `calabash rehydrate` fetches them from their sources, renders and checks them."
    )
    sections = (shown.reports or {}).items()
    text = PAGE.format(
        title=shown.title,
        name=shown.name,
        languages=json.dumps(sorted(str(one) for one in facts.counts["language"])),
        size=size_category(facts.num_rows),
        configs=yaml_of(shown.configs),
        info=json.dumps({"features": yaml_features(shown.layout.features)}),
        num_rows=facts.num_rows,
        splits=splits(_named(facts, "split")),
        num_with_media=facts.num_with_media,
        frames=facts.sums["num_frames"],
        demo=f"\n{demo:,} rows are of grade `demo`: a very small model wrote them. They are no training data.\n"
        if demo
        else "",
        usage=shown.usage,
        names=", ".join(f"`{name}`" for name in shown.configs) or "none yet",
        cells=cell_table(facts.cells),
        pictures="\n".join(f"![{name.removesuffix('.png')}]({PICTURES}/{name})" for name in plots),
        languages_table=counts(["language", "rows"], _named(facts, "language")),
        answers=counts(["answer type", "rows"], _named(facts, "answer_type")),
        withheld=held if shown.withheld else "",
        classes=counts(["licence class", "rows"], _named(facts, "license_class")),
        licenses=counts(["licence", "rows"], _named(facts, "license")),
        **_made(facts),
        learnt=_learnt(facts),
        reports="".join(f"\n## {title}\n\n{text}\n" for title, text in sections),
        limits="\n".join(f"- {limit}" for limit in LIMITS),
        sources=_sources(facts, shown.sources),
        digest=shown.digest,
    )
    return re.sub(r"\n{3,}", "\n\n", text)  # tables without rows leave gaps


def size_category(num_rows: int) -> str:
    """The Hub's name for a number of rows (huggingface.co/docs/hub/datasets-cards)."""
    if num_rows < 1_000:
        return "n<1K"
    for power, name in ((4, "1K<n<10K"), (5, "10K<n<100K"), (6, "100K<n<1M"), (7, "1M<n<10M"), (8, "10M<n<100M")):
        if num_rows < 10**power:
            return name
    return "100M<n<1B"


def yaml_features(features: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Features as the front matter of a card spells them."""
    from datasets import Features

    return Features.from_dict(dict(features))._to_yaml_list()  # pyright: ignore


def _made(facts: Facts) -> dict[str, str]:
    """The tables about making: yields, teachers, prompts, gates, rejects."""
    made = facts.made
    yields = [
        [flow, *(f"{getattr(one, name):,}" for name in YIELD_COLUMNS), f"{one.usd:,.2f}"]
        for flow, one in sorted(made.yields.items())
    ]
    prompts = [
        [flow, name, f"`{sha}`"] for flow, named in sorted(made.prompts.items()) for name, sha in sorted(named.items())
    ]
    gates = [
        [flow, ", ".join(sorted(made.generators[flow])), ", ".join(f"{k} {v}" for k, v in sorted(bounds.items()))]
        for flow, bounds in sorted(made.gates.items())
    ]
    rejects = [
        [flow, reason, f"{rows:,}"] for flow, one in sorted(made.yields.items()) for reason, rows in _top(one.rejected)
    ]
    teachers = [[*who, f"{tasks:,}"] for who, tasks in sorted(made.teachers.items())]
    return {
        "yields": table(["flow", *YIELD_COLUMNS.values(), "US$"], yields),
        "teachers": table(["role", "model", "revision", "licence of its output", "tasks"], teachers, left=4),
        "prompts": table(["flow", "prompt", "SHA-256"], prompts, left=3),
        "gates": table(["flow", "generators", "bounds of the gates"], gates, left=3),
        "rejects": table(["flow", "refused because", "records"], rejects, left=2),
    }


def _learnt(facts: Facts) -> str:
    """Derived columns, then drops with their reasons."""
    lines = [[one.name, one.kind, ", ".join(one.columns), f"{one.num_rows:,}"] for one in facts.learnt]
    if not lines:
        return "Nothing yet."
    text = [table(["name", "kind", "columns", "rows"], lines, left=3)]
    for one in facts.learnt:
        if one.reasons:
            rows = [[reason, f"{num:,}"] for reason, num in _top(one.reasons)]
            text.append(f"Dropped by `{one.name}`:\n\n{table(['reason', 'rows'], rows)}")
    return "\n\n".join(text)


def _sources(facts: Facts, notes: Sequence[SourceNote]) -> str:
    by_id = {note.id: note for note in notes}
    lines: list[list[str]] = []
    for source, rows in sorted(_named(facts, "source").items()):
        note = by_id.get(source)
        revision = ", ".join(sorted(facts.made.revisions.get(source, ())))
        said = [note.title, note.license, note.citation] if note else ["not in the catalogue", "unknown", ""]
        lines.append([source, *said, revision, f"{rows:,}"])
    return table(["source", "title", "licence", "citation", "revision", "rows"], lines, left=5)


def _top(numbers: Mapping[str, int]) -> list[tuple[str, int]]:
    ordered = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(rows for _, rows in ordered[MAX_REASONS:])
    return [*ordered[:MAX_REASONS], *([("others", rest)] if rest else [])]


def _named(facts: Facts, column: str) -> dict[str, int]:
    return {str(name): rows for name, rows in facts.counts[column].items()}
