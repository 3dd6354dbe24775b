"""Exporting a corpus: files of the same rows in another format, whole or resumed, with a manifest that says so."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpus.layout import NAME_CHARS, data_folder
from corpus.reader.corpus import Corpus
from corpus.sharing.formats import SUFFIXES, WRITERS, Batches, Format
from corpus.sharing.licensing import LicenseProfile, licensed
from corpus.sharing.parts import claim, close, finish_part
from corpus.sharing.rows import WITHHELD, Profile, Rows
from corpus.store.writing import writing
from schemas.errors import ConfigError

VERSION: Final = 1
"""Raised when the same request makes other bytes."""
PART_BYTES: Final = 500_000_000
"""Bytes of stored rows after which a file of an export ends (`datasets.config.MAX_SHARD_SIZE`)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What an export is asked for. `redistributable` is `corpus.sharing.rows.Rows`'s."""

    format: Format = "parquet"
    profile: Profile = "rows"
    license_profile: LicenseProfile = "research"
    redistributable: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an export: `path` below its folder, and the numbers of the stored batches that it takes rows of."""

    path: str
    flow: str
    modality: str
    split: str
    batches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The files of an export, in order; `key` is the hash of all that decides their bytes."""

    key: str
    about: Mapping[str, Any]
    rows: Rows
    parts: tuple[Part, ...]


Written = Callable[[Part, bool], None]
"""Told of every file: the part, and whether it was there already."""


def plan_export(corpus: Corpus, request: Request, part_bytes: int = PART_BYTES) -> Plan:
    """The files of an export; opens no shard. Raises PolicyError as `licensed` does, ConfigError for what cannot be."""
    if request.profile == "rl" and request.redistributable is not None:
        raise ConfigError(
            "profile 'rl' names no records, so its images cannot be withheld; export it without --pointers"
        )
    kept = licensed(corpus, request.license_profile)
    snapshot = corpus.snapshot
    about = {
        "version": VERSION,
        "snapshot": snapshot.name,
        "snapshot_sha256": snapshot.sha256,
        "format": request.format,
        "profile": request.profile,
        "license_profile": request.license_profile,
        "filters": {column: list(values) for column, values in sorted(corpus.filters.items())},
        "demo": corpus.demo,
        "redistributable": None if request.redistributable is None else sorted(request.redistributable),
        "dropped_by_license": dict(kept.dropped),
        "part_bytes": part_bytes,
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    rows = Rows(kept.corpus, request.profile, request.redistributable)
    return Plan(key, about, rows, tuple(_parts(kept.corpus, key, SUFFIXES[request.format], part_bytes)))


def export(plan: Plan, out: Path, written: Written | None = None) -> dict[str, Any]:
    """Write the files of a plan into a folder; returns the manifest. Files that an earlier try finished are kept.

    Raises ConfigError where the folder holds something else, CorpusError where a shard is broken or
    nothing can be written.
    """
    with writing(str(out)):
        if (whole := claim(out, plan.key, plan.about)) is not None:
            return whole
        files = [_one(plan, number, out, written) for number in range(len(plan.parts))]
        manifest: dict[str, Any] = {
            "key": plan.key,
            "about": plan.about,
            "files": [one for one in files if one["rows"]],
        }
        manifest |= {"num_rows": _sum(files, "rows"), "num_withheld": _sum(files, "withheld")}
        close(out, manifest)
    return manifest


def _parts(corpus: Corpus, key: str, suffix: str, part_bytes: int) -> Iterator[Part]:
    """Files by flow, licence class, modality and split, as in the corpus; their folder names the plan."""
    files, sizes = corpus.places.file_columns, corpus.places.batch_columns
    by_place: dict[tuple[str, str, str, str], list[int]] = {}
    for batch, num in enumerate(corpus.chosen.counts):
        if num:
            file = corpus.places.file_of(batch)
            place = tuple(files[name][file] for name in ("flow", "license_class", "modality", "split"))
            by_place.setdefault(place, []).append(batch)
    for (flow, license_class, modality, split), batches in sorted(by_place.items()):
        folder = data_folder(flow, license_class, modality).replace("data/", f"data/{key[:NAME_CHARS]}/", 1)
        for index, taken in enumerate(_cut(batches, corpus.chosen.counts, sizes, part_bytes)):
            yield Part(f"{folder}/{split}-{index:05d}.{suffix}", flow, modality, split, tuple(taken))


def _cut(
    batches: Sequence[int], counts: Sequence[int], sizes: Mapping[str, Sequence[int]], part_bytes: int
) -> Iterator[list[int]]:
    taken: list[int] = []
    num_bytes = 0
    for batch in batches:
        taken.append(batch)
        num_bytes += sizes["length"][batch] * counts[batch] // sizes["rows"][batch]
        if num_bytes >= part_bytes:
            yield taken
            taken, num_bytes = [], 0
    if taken:
        yield taken


def _one(plan: Plan, number: int, out: Path, written: Written | None) -> dict[str, Any]:
    """One finished file of the plan."""
    part = plan.parts[number]

    def write(path: Path) -> Mapping[str, Any]:
        seen: Counter[str] = Counter()
        batches = _counted(plan.rows.batches(part.batches), seen)
        rows = WRITERS[plan.about["format"]](path, plan.rows.schema, batches, out)
        about = {"flow": part.flow, "modality": part.modality, "split": part.split}
        return {**about, "rows": rows, "withheld": seen["withheld"]}

    file, was_there = finish_part(out, number, part.path, write)
    if written:
        written(part, was_there)
    return file


def _counted(batches: Batches, seen: Counter[str]) -> Batches:
    """The same batches; `seen` counts the rows whose images are withheld."""
    for numbers, batch in batches:
        if WITHHELD.name in batch.schema.names:
            seen["withheld"] += batch.num_rows - batch[WITHHELD.name].null_count
        yield numbers, batch


def _sum(files: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(file[name] for file in files)
