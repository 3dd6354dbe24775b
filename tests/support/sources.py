"""A pipeline over small sources of a test's own, whose conversations are kept as they are: no teacher is asked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PIPELINE = """corpus = "corpus"
catalog = "mine"

[teachers.none]
base_url = "http://127.0.0.1:9/v1"
model = "none"
locality = "loopback"
"""

ENTRY = """
id = "{id}"
title = "{id}"
shape = "jsonl"
path = "{id}"
pinned = "1"
records = {records}
access = "open"
egress = "any"
citation = "ourselves"
{more}

[license]
name = "CC-BY-4.0"
commercial = true
derivatives = true

[columns]
file = "rows.jsonl"
id = "id"
group = "group"
split = "split"
images = "images"
question = "question"
answer = "answer"
conversation = "turns"
"""


def talk(asked: str, said: str) -> list[dict[str, str]]:
    """One exchange, as a row's `turns`."""
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


def write_source(folder: Path, id: str, rows: Sequence[Mapping[str, Any]], more: str = "") -> None:
    """A catalogue entry in `folder/mine` with its rows; pictures are the caller's to put into `folder/mine/<id>`."""
    (folder / "mine" / id).mkdir(parents=True, exist_ok=True)
    (folder / "mine" / f"{id}.toml").write_text(ENTRY.format(id=id, records=len(rows), more=more))
    text = "\n".join(json.dumps(row) for row in rows)
    (folder / "mine" / id / "rows.jsonl").write_text(text)


def write_flows(folder: Path, flows: Mapping[str, Sequence[str]], more: str = "") -> Path:
    """A pipeline.toml whose flows keep the conversations of their sources."""
    form = 'teacher = "none"\ngenerator = "verbatim"\nrecords_per_task = 8\n'
    tables = [f"[flows.{flow}]\n{form}sources = {json.dumps(list(names))}\n" for flow, names in flows.items()]
    path = folder / "pipeline.toml"
    path.write_text("\n".join([PIPELINE, *tables, more]))
    return path
