"""Where everything in a corpus folder lives: relative POSIX paths, and the names inside them."""

import re
from typing import Final

DATA: Final = "data"
REJECTS: Final = "rejects"
COMMITS: Final = "commits"
MANIFEST: Final = "manifest"
PIECES: Final = f"{MANIFEST}/pieces"
NAMES: Final = f"{MANIFEST}/names"
DERIVED: Final = "derived"
STAGING: Final = "staging"
RUNS: Final = "runs"
CARD: Final = "README.md"
LATEST: Final = f"{MANIFEST}/LATEST"
VIEW: Final = ".views/all"
NO_MODALITY: Final = "text"
"""How a null modality is spelled in paths, cells and file entries."""

SPLITS: Final = ("train", "validation", "test")
NAME_CHARS: Final = 12
"""Hex characters of a fingerprint and of a hash that a file name carries."""


def modality_slug(modality: str | None) -> str:
    """A modality as a path element and as a `load_dataset` configuration: `"X-Ray"` is `"x-ray"`."""
    return re.sub(r"[^a-z0-9]+", "-", (modality or NO_MODALITY).lower()).strip("-")


def data_folder(flow: str, license_class: str, modality: str | None) -> str:
    """Where a flow's shards of one licence class and modality go."""
    return f"{DATA}/{flow}/{license_class}/modality={modality_slug(modality)}"


def shard_name(split: str, fingerprint: str, xxh3_128: str) -> str:
    """A data shard's file name: it names its split, its task and its content."""
    return f"{split}-{fingerprint[:NAME_CHARS]}-{xxh3_128[:NAME_CHARS]}.arrow"


def reject_path(flow: str, fingerprint: str, xxh3_128: str) -> str:
    """Where a task's rejects go."""
    return f"{REJECTS}/{flow}/{fingerprint[:NAME_CHARS]}-{xxh3_128[:NAME_CHARS]}.arrow"


def commit_path(flow: str, fingerprint: str) -> str:
    """Where a task's commit entry goes."""
    return f"{COMMITS}/{flow}/{fingerprint}.json"


def snapshot_name(number: int) -> str:
    """Snapshot 1 is `"v000001"`."""
    return f"v{number:06d}"


def snapshot_path(name: str) -> str:
    """Where a numbered snapshot is."""
    return f"{MANIFEST}/{name}.json"


def snapshot_number(name: str) -> int | None:
    """The number of a snapshot's name; None where it is not one."""
    match = re.fullmatch(r"v(\d{6,})", name)
    return int(match[1]) if match else None


def cell(organ_system: str | None, scope: str, modality: str | None) -> str:
    """The cell that a row counts in: `"<organ system or scope>|<modality or text>"`."""
    return f"{organ_system or scope}|{modality or NO_MODALITY}"
