"""Where an entry's files are: inside pinned packages or below a folder."""

import hashlib
import importlib.metadata
import importlib.util
import os
from functools import cache
from pathlib import Path

from schemas.errors import SourceError
from sources.base import Refusal
from sources.entry import Entry


def check_packages(entry: Entry) -> None:
    """Raise SourceError where an installed package is not the one that the entry was written for."""
    for package in entry.packages:
        installed = _installed_version(package.name)
        if installed is None:
            raise SourceError(
                f"source {entry.id!r}: package {package.name}=={package.version} is not installed; run `make demo`"
            )
        if installed != package.version:
            raise SourceError(
                f"source {entry.id!r}: its entry is written for {package.name}=={package.version}, and "
                f"{installed} is installed; install the pinned version, or check the data and change the entry"
            )


def locate(entry: Entry, file: str) -> Path:
    """The path of one of the entry's files; SourceError where it is missing."""
    path = _packaged(entry, file) if entry.packages else _below(root(entry), file)
    if not path.is_file():
        raise SourceError(f"source {entry.id!r}: file {file!r} is missing; {_remedy(entry)}")
    return path


def locate_optional(entry: Entry, file: str) -> Path:
    """As `locate`, for a file that a row of data names: Refusal, since one row must not stop a run."""
    path = _below(root(entry), file)
    if not path.is_file():
        raise Refusal("missing-file", file)
    return path


def origin(entry: Entry, file: str) -> str:
    """Where the original lives, in words that hold on any machine."""
    module, _, inner = file.partition(":")
    package = next((package for package in entry.packages if package.module == module), None)
    return f"{package.name}=={package.version}:{inner}" if package else f"{entry.id}:{file}"


def root(entry: Entry) -> Path:
    """The folder of an entry whose data is no package's."""
    folder = Path(os.path.normpath((entry.folder or Path()) / (entry.path or "")))
    if not folder.is_dir():
        what = f"{entry.upstream} at {entry.pinned}" if entry.upstream else "the data"
        raise SourceError(f"source {entry.id!r}: no folder {folder}; put {what} there, or correct the entry's 'path'")
    return folder


def sha256(data: bytes) -> str:
    """Hex digest of an original's bytes."""
    return hashlib.sha256(data).hexdigest()


def _packaged(entry: Entry, file: str) -> Path:
    module, _, inner = file.partition(":")
    package = next((package for package in entry.packages if package.module == module), None)
    if package is None:
        names = ", ".join(package.module for package in entry.packages)
        raise SourceError(f"source {entry.id!r}: file {file!r} names no module of the entry; known: {names}")
    return _module_folder(package.name, package.module) / inner


def _below(folder: Path, file: str) -> Path:
    """`folder / file`, refused where it leads outside (`..`, an absolute path, a link out)."""
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise Refusal("outside-folder", file)
    return path


@cache
def _module_folder(name: str, module: str) -> Path:
    """The folder of a module, found and not imported: some would pull in what is not installed."""
    spec = importlib.util.find_spec(module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise SourceError(f"package {name} holds no module {module!r}; correct the entry")
    return Path(places[0])


@cache
def _installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _remedy(entry: Entry) -> str:
    if entry.packages:
        pins = " ".join(f"{package.name}=={package.version}" for package in entry.packages)
        return f"reinstall {pins}"
    return f"expected below {entry.path!r}, counted from the entry's own file"
