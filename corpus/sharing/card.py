"""The corpus folder's README: the configurations for `datasets.load_dataset`, and a page for people."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from corpus.compute import pc
from corpus.layout import CARD, VIEW
from corpus.manifest.snapshot import Snapshot
from corpus.manifest.tables import read_table
from corpus.sharing.configs import MAX_LISTED, CardFile, Configs, configurations, yaml_of
from corpus.sharing.text import cell_table, size, splits, table
from corpus.sharing.view import DERIVED_VIEW
from corpus.store.writing import Store

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
{usage}{notes}
`load_dataset` configurations: {names}. Files under `rejects/`, `manifest/` and `staging/` are no samples.
Files that this page does not name belong to no snapshot, or to an older one.

## Organ systems and modalities

{cells}

## Licences

Rows of different licence classes never share a file (`data/<flow>/<license_class>/...`); each row's `license`
says exactly.

{licenses}

`calabash card` writes the whole card: languages, lengths, teachers, prompts, yields, sources.

corpus_sha256 `{digest}`
"""

USAGE: Final = """\
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
"""

DEMO_NOTE: Final = """
{num:,} of these rows have `grade = demo`: a very small model wrote them from facts alone, to show that
every path works. They are not training data, and Calabash's own reader leaves them out unless asked.
"""

DROP_NOTE: Final = """
Up to {num:,} of these rows are dropped (duplicates, contamination, withdrawn): readers and exports of Calabash leave
them out, `load_dataset` does not. `load_from_disk` tells them apart with the view of what was learnt later:

```python
from datasets import concatenate_datasets, load_from_disk

rows = concatenate_datasets([load_from_disk("PATH/{view}"), load_from_disk("PATH/{derived}")], axis=1)
rows.filter(lambda why: why is None, input_columns=["dropped"], keep_in_memory=True)
```
"""

GLOB_NOTE: Final = f"""
There are more than {MAX_LISTED:,} files, so the configurations name them by patterns: run `calabash gc` first, or
they also match files of no snapshot. `load_from_disk` and `corpus.open` need no such care.
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a snapshot's tables say of its files, drops and demo rows included."""

    files: Sequence[CardFile]
    num_bytes: int
    by_split: Counter[str]
    by_class: Counter[str]
    cells: Counter[str]
    num_demo: int
    num_dropped: int


def write_card(store: Store, snapshot: Snapshot) -> None:
    """Put the README of a snapshot into its corpus."""
    store.replace(CARD, card(snapshot).encode())


def card(snapshot: Snapshot) -> str:
    """The README of a corpus at a snapshot: YAML configurations, then the page. Reads no commit entry."""
    stored = stored_of(snapshot)
    configs = configurations(stored.files)
    return PAGE.format(
        configs=yaml_of(configs),
        name=snapshot.name,
        num_rows=snapshot.num_rows,
        num_files=len(stored.files),
        size=size(stored.num_bytes),
        splits=splits(stored.by_split),
        demo=DEMO_NOTE.format(num=stored.num_demo) if stored.num_demo else "",
        usage=usage(stored, configs, snapshot.num_rows),
        names=", ".join(f"`{name}`" for name in configs) or "none yet",
        notes=notes(stored),
        cells=cell_table(stored.cells),
        licenses=table(
            ["licence class", "rows"], [[name, f"{rows:,}"] for name, rows in sorted(stored.by_class.items())]
        ),
        digest=snapshot.corpus_sha256,
    )


def usage(stored: Stored, configs: Configs, num_rows: int) -> str:
    """How the corpus is opened, with names that exist."""
    return USAGE.format(
        example=next((name for name in configs if name != "default"), "default"),
        view=VIEW,
        first=stored.files[0].path if stored.files else "data/FILE.arrow",
        demo_argument=", demo=True" if stored.num_demo == num_rows else "",
    )


def notes(stored: Stored) -> str:
    """What whoever uses `load_dataset` must know: drops, and patterns in place of names."""
    dropped = DROP_NOTE.format(num=stored.num_dropped, view=VIEW, derived=DERIVED_VIEW) if stored.num_dropped else ""
    return dropped + (GLOB_NOTE if len(stored.files) > MAX_LISTED else "")


def stored_of(snapshot: Snapshot) -> Stored:
    """The sums of a snapshot's tables."""
    files: list[CardFile] = []
    by_split: Counter[str] = Counter()
    by_class: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    num_bytes = 0
    for piece in snapshot.pieces:
        columns = read_table(snapshot.files, piece.tables["files"]).to_pydict()
        names = ("path", "flow", "modality", "split")
        files += [CardFile(*values) for values in zip(*(columns[name] for name in names), strict=True)]
        num_bytes += sum(columns["bytes"])
        for column, counter in (("split", by_split), ("license_class", by_class)):
            for value, rows in zip(columns[column], columns["rows"], strict=True):
                counter[value] += rows
        cells.update(piece.cells)
    dropped = sum(one.num_rows for one in snapshot.derived if one.kind == "drop")
    return Stored(files, num_bytes, by_split, by_class, cells, count_demo(snapshot), dropped)


def count_demo(snapshot: Snapshot) -> int:
    """How many of a snapshot's rows are of grade `demo`."""
    grades = (read_table(snapshot.files, piece.tables["samples"], ["grade"]).column(0) for piece in snapshot.pieces)
    return sum(pc.sum(pc.equal(column, "demo")).as_py() or 0 for column in grades)
