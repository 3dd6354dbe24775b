"""The catalogue: every dataset as one TOML file, loaded, checked and opened by id."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from schemas.errors import ConfigError
from schemas.pipeline import FLOWS, unknown, validate
from sources.base import Source
from sources.entry import SHAPE_KEYS, Columns, Entry
from sources.shapes.dicom_cine import DicomCine
from sources.shapes.dicom_files import DicomFiles
from sources.shapes.dicom_sr import DicomSr
from sources.shapes.icd10cm import Icd10Cm
from sources.shapes.image_files import ImageFiles
from sources.shapes.jsonl import Jsonl
from sources.shapes.nifti_labels import NiftiLabels
from sources.shapes.table_files import TableFiles

CATALOG: Final = Path(__file__).parent / "catalog"
SHAPES: Final = (DicomFiles, DicomCine, DicomSr, NiftiLabels, ImageFiles, Icd10Cm, Jsonl, TableFiles)
"""The adapters, one per storage shape."""


@cache
def catalogue() -> dict[str, Entry]:
    """The entries that ship with Calabash, by id, in order of id."""
    return _load_folder(CATALOG)


def load_catalogue(extra: Path | None) -> dict[str, Entry]:
    """The shipped entries and those of the TOML files in `extra`, a folder such as one beside pipeline.toml.

    Raises ConfigError for an unreadable entry, an unknown key or an id that is taken.
    """
    entries = dict(catalogue())
    if extra is None:
        return entries
    if not extra.is_dir():
        raise ConfigError(f"{extra}: no such folder of catalogue entries; make it, or name another")
    for id_, entry in _load_folder(extra).items():
        if id_ in entries:
            raise ConfigError(f"{extra}: source {id_!r} is already in the catalogue; choose another id")
        entries[id_] = entry
    return entries


def open_source(id: str, entries: Mapping[str, Entry] | None = None) -> Source:
    """The source with this id, ready to list its shards; nothing is read yet.

    `entries` is what `load_catalogue` gave; the shipped catalogue otherwise. Raises ConfigError with the
    nearest id for one that is not known.
    """
    known = catalogue() if entries is None else entries
    if id not in known:
        raise ConfigError(unknown("source", id, known))
    entry = known[id]
    return next(shape(entry) for shape in SHAPES if shape.shape == entry.shape)


def load_entry(path: Path) -> Entry:
    """One catalogue file, checked; ConfigError names the file, the key, the value and what to do."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    if "folder" in data:
        raise ConfigError(f"{path}: key 'folder' is not yours to set; use 'path', counted from this file")
    entry = validate(Entry, data, str(path)).model_copy(update={"folder": path.parent})
    _check(entry, path)
    return entry


def _load_folder(folder: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for path in sorted(folder.glob("*.toml")):
        entry = load_entry(path)
        if entry.id in entries:
            raise ConfigError(f"{path}: source {entry.id!r} has two entries in {folder}; choose another id")
        entries[entry.id] = entry
    return dict(sorted(entries.items()))


def _check(entry: Entry, path: Path) -> None:
    """What a type cannot say: the parts of an entry agree with each other."""
    needed = SHAPE_KEYS[entry.shape]
    if not getattr(entry, needed):
        raise ConfigError(f"{path}: key {needed!r} is missing; shape {entry.shape!r} reads it")
    for key in sorted(set(SHAPE_KEYS.values()) - {needed}):
        if getattr(entry, key):
            raise ConfigError(f"{path}: key {key!r} has no meaning for shape {entry.shape!r}; remove it")
    for flow in entry.flows:
        if flow not in FLOWS:
            raise ConfigError(f"{path}: {unknown('flow', flow, FLOWS)}")
    if not entry.packages and (entry.path is None or entry.pinned is None):
        raise ConfigError(f"{path}: give 'packages', or 'path' and 'pinned' for data in a folder")
    if entry.never_train and entry.flows:
        raise ConfigError(f"{path}: key 'flows' has no meaning for a benchmark (never_train = true); remove it")
    if entry.columns:
        _check_columns(entry, entry.columns, path)
    _check_ids(entry, path)


def _check_columns(entry: Entry, columns: Columns, path: Path) -> None:
    if entry.shape == "jsonl" and not isinstance(columns.file, str):
        raise ConfigError(
            f"{path}: key 'columns.file' is one file for shape 'jsonl'; use shape 'table-files' for several"
        )
    try:
        groups = re.compile(columns.group_match).groups
    except re.error as error:
        raise ConfigError(f"{path}: key 'columns.group_match' is no pattern: {error}") from None
    if columns.group_match and groups < 1:
        raise ConfigError(f"{path}: key 'columns.group_match' has no group: put what names the group in parentheses")


def _check_ids(entry: Entry, path: Path) -> None:
    ids = [item.id for item in entry.items] or [view.id for view in (entry.volume.views if entry.volume else ())]
    doubled = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if doubled:
        raise ConfigError(f"{path}: id {doubled[0]!r} is given twice; ids name records")
    if ids and len(ids) != entry.records:
        raise ConfigError(f"{path}: records = {entry.records}, and {len(ids)} are listed; correct one of them")
