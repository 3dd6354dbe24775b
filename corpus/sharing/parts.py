"""A folder of files that is written part by part: a killed writer goes on, and a manifest says it is whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from corpus.store.local import make_folder, sync, write_file
from schemas.errors import ConfigError

MANIFEST: Final = "manifest.json"
"""Written last: a folder with it is whole."""
STATE: Final = ".export"
"""What a killed writer goes on from; gone when the folder is whole."""

Write = Callable[[Path], Mapping[str, Any]]
"""Writes a part's file; returns what is known of it, `rows` among it."""


def read_manifest(data: bytes, where: str) -> dict[str, Any]:
    """A manifest from its bytes. Raises ConfigError where it is none."""
    try:
        manifest = json.loads(data)
        if not isinstance(manifest["files"], list) or not isinstance(manifest["key"], str):
            raise TypeError("'files' is no list or 'key' no string")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{where}/{MANIFEST} is no export's manifest ({error}); export again") from error
    return manifest


def claim(out: Path, key: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Make the folder this work's own; its manifest where it is whole already, else None.

    `key` is the hash of all that decides the files. Raises ConfigError where the folder is another's.
    """
    whole = out / MANIFEST
    if whole.exists():
        manifest = read_manifest(whole.read_bytes(), str(out))
        _same(out, key, about, manifest)
        if all(_size(out / file["path"]) == file["bytes"] for file in manifest["files"]):
            return manifest
    state = out / STATE / "plan.json"
    if state.exists():
        _same(out, key, about, json.loads(state.read_bytes()))
    else:
        make_folder(out / STATE)
        _replace(out, f"{STATE}/plan.json", {"key": key, "about": about})
    return None


def finish_part(out: Path, number: int, path: str, write: Write) -> tuple[dict[str, Any], bool]:
    """A finished file's path, rows, bytes and SHA-256, and whether it was there. One without rows is not made."""
    note = f"{STATE}/{number:06d}.json"
    known = json.loads((out / note).read_bytes()) if (out / note).exists() else None
    if known is not None and (not known["rows"] or _size(out / path) == known["bytes"]):
        return known, True
    staged, final = out / STATE / f"part-{os.getpid()}", out / path
    found = write(staged)
    with staged.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    file = {"path": path, **found, "bytes": staged.stat().st_size, "sha256": digest}
    if file["rows"]:
        sync(staged)
        make_folder(final.parent)
        staged.replace(final)
        sync(final.parent)
    _replace(out, note, file)
    return file, False


def close(out: Path, manifest: Mapping[str, Any]) -> None:
    """Say that the folder is whole."""
    _replace(out, MANIFEST, manifest)
    shutil.rmtree(out / STATE)


def _same(out: Path, key: str, about: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    if other["key"] != key:
        was = other["about"]
        names = sorted(name for name in {*about, *was} if about.get(name) != was.get(name))
        said = "; ".join(f"{name} was {was.get(name)!r}, now {about.get(name)!r}" for name in names)
        raise ConfigError(f"{out} holds something else ({said}); choose another folder, or empty it")


def _replace(out: Path, path: str, value: Mapping[str, Any]) -> None:
    aside = out / f"{path}.{os.getpid()}"
    write_file(aside, json.dumps(value, indent=2, ensure_ascii=False).encode())
    aside.replace(out / path)
    sync((out / path).parent)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
