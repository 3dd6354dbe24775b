"""The corpus folder's README: the configurations for `datasets.load_dataset`, and a page for people."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from corpus.entries import CommitEntry, FileEntry
from corpus.layout import SPLITS, VIEW, modality_slug
from corpus.snapshot import Snapshot
from corpus.tables import count_demo

PAGE: Final = """\
---
pretty_name: Calabash corpus
license: other
license_name: mixed
tags: [medical, multimodal]
{configs}---

# Calabash corpus, snapshot {name}

Medical conversations about images, volumes, videos and text, each traceable to a public record, its
licence and what made it. {num_rows:,} rows in {num_files:,} Arrow files ({size}); {splits}.
{demo}
## Open it

```python
from datasets import load_dataset, load_from_disk

load_dataset("PATH", "{example}")  # one modality or one flow (copies into the cache)
load_from_disk("PATH/{view}")  # everything, mapped from these files, no copy
```

```python
import pyarrow as pa

table = pa.ipc.open_stream(pa.memory_map("PATH/{first}")).read_all()
# DuckDB: import duckdb; duckdb.from_arrow(table).filter("language = 'en'")
```

```python
import corpus  # from a checkout of Calabash

corpus.open("PATH"{demo_argument}).filter(modality="CT").to_pandas()
```

`load_dataset` configurations: {names}. Files under `rejects/`, `manifest/` and `staging/` are no samples.
Files that this page does not name belong to no snapshot, or to an older one.

## Organ systems and modalities

{cells}

## Licences

Rows of different licence classes never share a file (`data/<flow>/<license_class>/...`); each row's `license`
says exactly.

{licenses}

corpus_sha256 `{digest}`
"""

DEMO_NOTE: Final = """
{num:,} of these rows have `grade = demo`: a very small model wrote them from facts alone, to show that
every path works. They are not training data, and Calabash's own reader leaves them out unless asked.
"""


def card(snapshot: Snapshot, entries: Sequence[CommitEntry]) -> str:
    """The README of a corpus at a snapshot: YAML configurations, then the page."""
    files = [file for entry in entries for file in entry.files]
    configs = configurations(entries)
    num_demo = count_demo(snapshot.path)
    return PAGE.format(
        configs=_yaml(configs),
        name=snapshot.name,
        num_rows=snapshot.num_rows,
        num_files=len(files),
        size=_size(sum(file.bytes for file in files)),
        splits=_splits(files),
        demo=DEMO_NOTE.format(num=num_demo) if num_demo else "",
        demo_argument=", demo=True" if num_demo == snapshot.num_rows else "",
        example=next((name for name in configs if name != "default"), "default"),
        view=VIEW,
        first=files[0].path if files else "data/FILE.arrow",
        names=", ".join(f"`{name}`" for name in configs) or "none yet",
        cells=_cells(files),
        licenses=_licenses(files),
        digest=snapshot.corpus_sha256,
    )


def configurations(entries: Sequence[CommitEntry]) -> dict[str, dict[str, list[str]]]:
    """Data files by configuration and split: `default` is everything, then flows, then modalities.

    Files are named one by one: a glob would also match what no snapshot holds.
    """
    by_config: dict[str, list[FileEntry]] = {"default": [file for entry in entries for file in entry.files]}
    for flow in sorted({entry.flow for entry in entries}):
        by_config[flow] = [file for entry in entries if entry.flow == flow for file in entry.files]
    for slug in sorted({modality_slug(file.modality) for file in by_config["default"]}):
        by_config[slug] = [file for file in by_config["default"] if modality_slug(file.modality) == slug]
    return {name: _by_split(files) for name, files in by_config.items() if files}


def _by_split(files: Sequence[FileEntry]) -> dict[str, list[str]]:
    paths = {split: [file.path for file in files if file.split == split] for split in SPLITS}
    return {split: found for split, found in paths.items() if found}


def _yaml(configs: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The front matter's `configs`; a JSON string is a YAML string."""
    lines = ["configs:"] if configs else []
    for name, splits in configs.items():
        lines += [f"- config_name: {json.dumps(name)}", "  data_files:"]
        for split, paths in splits.items():
            lines += [f"  - split: {split}", "    path:", *(f"    - {json.dumps(path)}" for path in paths)]
    return "".join(f"{line}\n" for line in lines)


def _cells(files: Sequence[FileEntry]) -> str:
    """Rows per organ system (or scope) and modality, as a Markdown table."""
    counts: Counter[tuple[str, str]] = Counter()
    for file in files:
        for batch in file.batches:
            for name, rows in batch.cells.items():
                organ, _, modality = name.partition("|")
                counts[organ, modality] += rows
    modalities = sorted({modality for _, modality in counts})
    lines = [_line(["", *modalities]), _line(["---", *("---:" for _ in modalities)])]
    for organ in sorted({organ for organ, _ in counts}):
        lines.append(_line([organ, *(f"{counts[organ, m]:,}" if counts[organ, m] else "" for m in modalities)]))
    return "\n".join(lines) if counts else "No rows yet."


def _licenses(files: Sequence[FileEntry]) -> str:
    rows: Counter[str] = Counter()
    for file in files:
        rows[file.license_class] += file.rows
    lines = [_line(["licence class", "rows"]), _line(["---", "---:"])]
    return "\n".join([*lines, *(_line([name, f"{count:,}"]) for name, count in sorted(rows.items()))])


def _splits(files: Sequence[FileEntry]) -> str:
    rows: Counter[str] = Counter()
    for file in files:
        rows[file.split] += file.rows
    return ", ".join(f"{split} {rows[split]:,}" for split in SPLITS)


def _line(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def _size(num_bytes: int) -> str:
    """Bytes as a person reads them."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} bytes"
