"""What a search for repetition found, as a JSON document and as a Markdown page below the work folder."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from corpus.likeness.items import Drop, Report
from schemas.phi import find_phi

Document = dict[str, Any]
"""A report as plain data; `kind` is "duplicates" or "contamination"."""

FOLDER: Final = "reports"
EXAMPLES: Final = 20
"""Drops of a search for duplicates that a report shows; one about a benchmark has its own."""


def of_benchmarks(
    looked_at: str, num_items: int, made_by: Mapping[str, Any], reports: Sequence[Report], names: Mapping[str, str]
) -> Document:
    """The document of a search for benchmarks; `made_by["benchmarks"]` has their revisions, `names` ids by number."""
    found = [
        {
            "benchmark": one.benchmark,
            **made_by["benchmarks"][one.benchmark],
            "num_candidates": one.num_candidates,
            "num_removed": sum(one.removed.values()),
            "removed": dict(one.removed),
            "thresholds": dict(one.thresholds),
            "examples": [
                {
                    "id": names.get(str(example.number), str(example.number)),
                    "benchmark_item": example.id,
                    "reason": example.reason,
                    "score": example.score,
                    "text": _clean(example.item_text),
                    "benchmark_text": _clean(example.benchmark_text),
                }
                for example in one.examples
            ],
        }
        for one in reports
    ]
    removed = sum(sum(one.removed.values()) for one in reports)
    return {**_head("contamination", looked_at, num_items, removed, made_by), "benchmarks": found}


def of_duplicates(
    looked_at: str, num_items: int, made_by: Mapping[str, Any], drops: Sequence[Drop], names: Mapping[str, str]
) -> Document:
    """The document of a search for duplicates; `names` has ids by number."""
    shown = [
        {
            **asdict(drop),
            "id": names.get(str(drop.number), str(drop.number)),
            "other": names.get(drop.other, drop.other),
        }
        for drop in drops[:EXAMPLES]
    ]
    return {
        **_head("duplicates", looked_at, num_items, len(drops), made_by),
        "removed": dict(sorted(Counter(drop.reason for drop in drops).items())),
        "examples": shown,
    }


def write_report(work: Path, document: Mapping[str, Any]) -> Path:
    """Write a document and its page; the path of the page (the document ends in .json beside it)."""
    folder = work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{document['kind']}-{document['looked_at']}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    page = folder / f"{stem}.md"
    page.with_suffix(".json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write_text(_page(document), encoding="utf-8")
    return page


def _head(kind: str, looked_at: str, num_items: int, num_removed: int, made_by: Mapping[str, Any]) -> Document:
    return {
        "kind": kind,
        "looked_at": looked_at,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "num_items": num_items,
        "num_removed": num_removed,
        "made_by": dict(made_by),
    }


def _clean(text: str) -> str:
    """An excerpt that may stand in a report."""
    return "(not shown: it looks as if it named somebody)" if find_phi(text) else text


def _page(document: Mapping[str, Any]) -> str:
    lines = [
        f"# {document['kind'].capitalize()} in {document['looked_at']}",
        "",
        f"{document['num_removed']:,} of {document['num_items']:,} removed, {document['when']}.",
    ]
    if document["kind"] == "duplicates":
        lines += ["", *_table(("reason", "rows"), document["removed"].items())]
        lines += ["", "## Examples", "", *_examples(document["examples"], ("id", "reason", "other", "score", "detail"))]
        return "\n".join([*lines, ""])
    if absent := document.get("not_checked"):
        lines += ["", f"Not checked, since their data is not here: {', '.join(absent)}."]
    rows = [
        (
            one["benchmark"],
            one["revision"],
            one["num_items"],
            one["num_rejected"],
            one["num_candidates"],
            one["num_removed"],
        )
        for one in document["benchmarks"]
    ]
    head = ("benchmark", "revision", "questions", "unreadable", "candidates", "removed")
    lines += ["", *_table(head, rows)]
    for one in document["benchmarks"]:
        bounds = ", ".join(f"{name} {value}" for name, value in one["thresholds"].items())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in one["removed"].items()) or "nothing removed"
        lines += ["", f"## {one['benchmark']}", "", f"{reasons}. Thresholds: {bounds}."]
        if one["examples"]:
            keys = ("id", "benchmark_item", "reason", "score", "text", "benchmark_text")
            lines += ["", *_examples(one["examples"], keys)]
    return "\n".join([*lines, ""])


def _examples(examples: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    return _table(keys, ([example[key] for key in keys] for example in examples)) if examples else ["None."]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    shown = [[f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *shown)]
