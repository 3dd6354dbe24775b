"""A corpus of 16.7M rows without its shards: commit entries and a manifest, as 4,200 tasks would leave them.

Sources, their sizes, modalities and bytes per row are drawn from a seed so that they look like the published corpus:
half of the rows carry pictures of 30 to 150 KB, a tenth volumes or videos of many frames, a quarter no media. The
tables are written by the manifest's own code; the shards that they name are not there, so rows cannot be read.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.changing.taking import publish_next
from corpus.commit.entries import BatchEntry, CommitEntry, FileEntry, corpus_sha256, encode_entry
from corpus.commit.shards import LIMITS
from corpus.layout import PIECES, cell, commit_path, data_folder, shard_name
from corpus.manifest import pieces as making
from corpus.manifest.snapshot import Piece, Snapshot
from corpus.manifest.tables import BATCHES_SCHEMA, FILES_SCHEMA, KEYS_SCHEMA, SAMPLES_SCHEMA
from corpus.store.local import LocalStore
from schemas.arrow import SCHEMA_VERSION
from schemas.task import Tally, Task
from schemas.taxonomy import Modality, OrganSystem

TASK_ROWS: Final = 4_096
KEPT: Final = 0.97
"""Of a task's records: 4,200 tasks then hold 16.7M rows."""
FLOWS: Final = {"captioning": 0.30, "long-annotation": 0.12, "multilingual-reasoning": 0.10, "synthetic-qa": 0.40,
                "video-description": 0.08}  # fmt: skip
SPLITS: Final = {"train": 0.98, "validation": 0.01, "test": 0.01}
KINDS: Final = (
    ((Modality.CT, Modality.MRI, Modality.XRAY), 110_000),
    ((Modality.XRAY,), 90_000),
    ((Modality.HISTOPATHOLOGY,), 60_000),
    ((Modality.FUNDUS, Modality.OCT), 50_000),
    ((Modality.DERMOSCOPY, Modality.PHOTOGRAPH), 40_000),
    ((Modality.CT,), 700_000),
    ((Modality.ENDOSCOPY,), 500_000),
    ((Modality.ULTRASOUND,), 60_000),
    ((Modality.MICROSCOPY, Modality.HISTOPATHOLOGY, Modality.CHART), 45_000),
    ((None,), 3_000),
    ((None,), 2_500),
)
"""What sources hold: modalities, and the mean bytes of a row with its pictures, text and provenance."""
ORGANS: Final = tuple(OrganSystem)
NUM_SOURCES: Final = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """A source of a flow: its modalities, bytes per row, the organ systems that it shows, and its licence class."""

    flow: str
    source: str
    modalities: tuple[str | None, ...]
    row_bytes: int
    organs: tuple[str, ...]
    license_class: str
    num_tasks: int


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one file of a task: its entry, the organ system of every row as a number in `ORGANS`."""

    entry: FileEntry
    organs: "np.ndarray[Any, Any]"


def kinds(num_tasks: int, seed: int = 3) -> list[Kind]:
    """Every source of every flow, with the number of its tasks; sources differ much in size."""
    draws = random.Random(seed)
    found: list[Kind] = []
    for flow, share in FLOWS.items():
        weights = [draws.paretovariate(1.1) for _ in range(max(1, round(NUM_SOURCES * share)))]
        for number, weight in enumerate(weights):
            modalities, row_bytes = KINDS[(number * 7 + len(found)) % len(KINDS)]
            organs = tuple(draws.sample(ORGANS, k=draws.choice((1, 2, 4, 12))))
            license_class = draws.choice(("attribution", "public-domain", "non-commercial", "share-alike"))
            tasks = max(1, round(num_tasks * share * weight / sum(weights)))
            found.append(Kind(flow, f"source-{len(found):03d}", modalities, row_bytes, organs, license_class, tasks))
    return found


def tasks_of(kind: Kind) -> list[Task]:
    """A source's tasks."""
    recipe = {"generator": f"{kind.flow}@1", "source_revision": "1", "seed": 7}
    starts = range(0, kind.num_tasks * TASK_ROWS, TASK_ROWS)
    return [Task(kind.flow, kind.source, "s0", start, start + TASK_ROWS, recipe) for start in starts]


def entry_of(kind: Kind, task: Task, draws: "np.random.Generator") -> tuple[CommitEntry, list[Part]]:
    """What a task would have committed."""
    fingerprint, parts = task.fingerprint, list[Part]()
    num_rows = int(draws.binomial(TASK_ROWS, KEPT))
    of_modality = draws.multinomial(num_rows, [1 / len(kind.modalities)] * len(kind.modalities))
    for modality, total in zip(kind.modalities, of_modality.tolist(), strict=True):
        for split, rows in zip(SPLITS, draws.multinomial(total, list(SPLITS.values())).tolist(), strict=True):
            if rows:
                organs = draws.integers(0, len(kind.organs), rows)
                parts.append(_part(kind, fingerprint, modality, split, organs, draws))
    cells = Counter[str]()
    for part in parts:
        for batch in part.entry.batches:
            cells.update(batch.cells)
    entry = CommitEntry(
        task=fingerprint,
        flow=task.flow,
        source=task.source,
        shard=task.shard,
        start=task.start,
        stop=task.stop,
        recipe_sha256=task.recipe_sha256,
        recipe=task.recipe,
        files=tuple(part.entry for part in parts),
        rejects=None,
        tallies=tuple(Tally(*name.split("|"), num_kept=num) for name, num in sorted(cells.items())),
        made={"seconds": 1.0, "host": "bench", "versions": {"calabash": "1", "pyarrow": "26"}},
    )
    return entry, parts


def _part(
    kind: Kind, fingerprint: str, modality: str | None, split: str, organs: Any, draws: "np.random.Generator"
) -> Part:
    """One file, cut into batches as a writer cuts them."""
    per_batch = max(1, min(LIMITS.batch_rows, LIMITS.batch_bytes // kind.row_bytes))
    batches, offset = list[BatchEntry](), 7_064
    for start in range(0, len(organs), per_batch):
        some = organs[start : start + per_batch]
        counted = np.bincount(some, minlength=len(kind.organs)).tolist()
        cells = {cell(kind.organs[k], "organ", modality): num for k, num in enumerate(counted) if num}
        length = kind.row_bytes * len(some) & ~7
        batches.append(BatchEntry(offset, length, len(some), int(draws.integers(1 << 32)), length * 9 // 10, cells))
        offset += length
    digest = draws.bytes(16).hex()
    folder = data_folder(kind.flow, kind.license_class, modality)
    entry = FileEntry(
        path=f"{folder}/{shard_name(split, fingerprint, digest)}",
        rows=len(organs),
        bytes=offset + 8,
        xxh3_128=digest,
        license_class=kind.license_class,
        modality=modality or "text",
        split=split,
        schema_version=SCHEMA_VERSION,
        batches=tuple(batches),
    )
    return Part(entry, np.array([ORGANS.index(organ) for organ in kind.organs])[organs])


def make(root: Path, num_tasks: int) -> Snapshot:
    """Write the entries and publish the snapshot of all of them; the last piece ends where its last entry does."""
    store, known = LocalStore(root), {kind.source: kind for kind in kinds(num_tasks)}
    draws = np.random.default_rng(5)
    last = closing()
    known[last.source] = Kind(last.flow, last.source, (Modality.ENDOSCOPY,), 500_000, ORGANS[:4], "attribution", 1)
    made: list[tuple[CommitEntry, list[Part]]] = []
    for task in sorted(planned(num_tasks), key=lambda task: (task.flow, task.source, task.shard, task.start)):
        entry, parts = entry_of(known[task.source], task, draws)
        path = root / commit_path(entry.flow, entry.task)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_entry(entry))
        made.append((entry, parts))
    by_task = {entry.task: parts for entry, parts in made}
    entries = [entry for entry, _ in made]
    pieces = tuple(_piece(store, run, by_task, known, draws) for run in making.cut(entries))

    def change(previous: Snapshot | None) -> Snapshot | None:
        return Snapshot(
            files=store,
            name="",
            number=0,
            num_rows=sum(piece.num_rows for piece in pieces),
            corpus_sha256=corpus_sha256(entries),
            pieces=pieces,
            derived=(),
        )

    return publish_next(store, change)


def _piece(
    store: LocalStore,
    entries: Sequence[CommitEntry],
    by_task: dict[str, list[Part]],
    known: dict[str, Kind],
    draws: "np.random.Generator",
) -> Piece:
    """A piece with its tables, written as `corpus.manifest.pieces` writes them."""
    shards = making.data_files(entries)
    rows = [making._batch_row(n, batch) for n, (_, file) in enumerate(shards) for batch in file.batches]  # pyright: ignore[reportPrivateUsage]
    files = [making._file_row(*pair) for pair in shards]  # pyright: ignore[reportPrivateUsage]
    samples, keys = list[pa.Table](), list[pa.Table]()
    cells = Counter[str]()
    for entry in entries:
        first = 0
        for part in by_task[entry.task]:
            samples.append(_samples(entry, part, known[entry.source], draws))
            keys.append(_keys(entry, entry.start + first, part.entry.rows, draws))
            first += part.entry.rows
            for batch in part.entry.batches:
                cells.update(batch.cells)
    tables = {
        "files": pa.Table.from_pylist(files, schema=FILES_SCHEMA),
        "batches": pa.Table.from_pylist(rows, schema=BATCHES_SCHEMA),
        "samples": pa.concat_tables(samples),
        "keys": pa.concat_tables(keys),
    }
    return Piece(
        commits=tuple((entry.flow, entry.task) for entry in entries),
        num_files=tables["files"].num_rows,
        num_batches=tables["batches"].num_rows,
        num_rows=tables["samples"].num_rows,
        cells=dict(sorted(cells.items())),
        tables={kind: making.write_table(store, PIECES, kind, table) for kind, table in tables.items()},
    )


def _samples(entry: CommitEntry, part: Part, kind: Kind, draws: "np.random.Generator") -> pa.Table:
    """The columns of the samples table for one file."""
    num, file = part.entry.rows, part.entry
    has_media = file.modality != "text"
    same: dict[str, Any] = {
        "flow": entry.flow,
        "task": "caption",
        "source": entry.source,
        "split": file.split,
        "grade": "production",
        "domain": "medical" if has_media else "general",
        "scope": "organ",
        "license": "CC-BY-4.0",
        "license_class": file.license_class,
        "answer_type": "free_text",
    }
    frames = 40 if kind.row_bytes > 200_000 else int(has_media)
    values: dict[str, Any] = {
        **{name: pa.repeat(pa.scalar(value), num) for name, value in same.items()},
        "language": pa.array(np.array(["en", "zh", "es"])[draws.integers(0, 3, num)]),
        "modality": pa.repeat(pa.scalar(file.modality), num) if has_media else pa.nulls(num, pa.string()),
        "organ_system": pa.array(np.array(ORGANS)[part.organs]),
        "num_text_chars": pa.array(draws.integers(80, 3_000, num).astype(np.int32)),
        "num_frames": pa.array(np.full(num, frames, np.int32)),
        "num_pixels": pa.array(draws.integers(1, 4, num) * 262_144 * frames),
    }
    return pa.table([values[name] for name in SAMPLES_SCHEMA.names], schema=SAMPLES_SCHEMA)


def _keys(entry: CommitEntry, first: int, num: int, draws: "np.random.Generator") -> pa.Table:
    """The columns of the keys table: names that count, and hashes that do not compress."""
    number: Any = pc.utf8_lpad(pa.array(np.arange(first, first + num)).cast(pa.string()), 8, "0")  # pyright: ignore[reportAttributeAccessIssue]
    patient: Any = pc.utf8_lpad(pa.array(np.arange(first, first + num) // 2).cast(pa.string()), 8, "0")  # pyright: ignore[reportAttributeAccessIssue]
    join: Any = pc.binary_join_element_wise  # pyright: ignore[reportAttributeAccessIssue]
    ends = pa.py_buffer(np.arange(0, 64 * num + 1, 64, dtype=np.int32))
    hashes = pa.Array.from_buffers(pa.string(), num, [None, ends, pa.py_buffer(draws.bytes(32 * num).hex().encode())])
    columns = {
        "id": join(f"{entry.flow}-{entry.source}-s0-", number, ""),
        "record_id": join("record-", number, ""),
        "group_id": join("patient-", patient, ""),
        "content_sha256": hashes,
    }
    return pa.table([columns[name] for name in KEYS_SCHEMA.names], schema=KEYS_SCHEMA)


def planned(num_tasks: int) -> list[Task]:
    """Every task of the plan, without the one that comes later."""
    return [*(task for kind in kinds(num_tasks) for task in tasks_of(kind)), closing()]


def closing() -> Task:
    """A task that sorts last and ends a piece: the shards of the piece that a later task makes are then its own."""
    shards = (replace(later(), source="source-yyy", shard=f"s{k}", stop=TASK_ROWS) for k in count())
    return next(task for task in shards if int(task.fingerprint[:8], 16) % making.PIECE_ENTRIES == 0)


def later() -> Task:
    """One more task, which sorts behind all others."""
    return Task("video-description", "source-zzz", "s0", 0, 256, {"generator": "video@1", "seed": 7})


def found(root: Path, below: str) -> Iterator[Path]:
    """The files below a folder of the corpus."""
    return (path for path in (root / below).rglob("*") if path.is_file())


def digest(numbers: Sequence[int]) -> str:
    """A short hash of row numbers in their order."""
    return hashlib.sha256(np.asarray(numbers, np.int64).tobytes()).hexdigest()[:16]
