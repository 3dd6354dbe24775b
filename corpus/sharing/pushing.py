"""Pushing an export: to a dataset repository of the Hugging Face Hub, or to a folder or bucket; what is there stays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from corpus.sharing.export import Plan, export
from corpus.sharing.facts import SourceNote
from corpus.sharing.parts import MANIFEST, read_manifest
from corpus.sharing.presenting import export_card
from schemas.errors import ConfigError

COMMIT_FILES: Final = 50
COMMIT_BYTES: Final = 5_000_000_000
"""A commit takes no more files or bytes (Hub, "Repository limitations and recommendations": 50 to 100 files)."""

Sent = Callable[[Sequence[str]], None]
"""Told of the paths of every step that is done."""


class Target(Protocol):
    """Where an export is pushed."""

    @property
    def path(self) -> str:
        """What `load_dataset` is given to read it."""
        ...

    def lacks(self, out: Path, files: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those of a manifest's files that are not there with the same content."""
        ...

    def read(self, path: str) -> bytes | None:
        """A small file; None where there is none."""
        ...

    def send(self, out: Path, paths: Sequence[str]) -> None:
        """Put files there; the card does not name them yet."""
        ...

    def finish(self, files: Mapping[str, bytes], stale: Sequence[str]) -> None:
        """Put the card there and take stale files away: in one step where the target has such."""
        ...


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did."""

    num_rows: int
    num_withheld: int
    num_files: int
    num_sent: int
    num_removed: int


def target_of(where: str) -> Target:
    """The target of `hf://ORG/NAME`, of another URL, or of a folder. Raises ConfigError for a malformed name."""
    if where.startswith("hf://"):
        from corpus.sharing.hub import HubTarget

        repo = where.removeprefix("hf://").removeprefix("datasets/").strip("/")
        if repo.count("/") != 1:
            raise ConfigError(f"{where!r} names no dataset of the Hub; write hf://ORG/NAME")
        return HubTarget(repo)
    from corpus.sharing.storing import StoreTarget

    return StoreTarget(where)


def push(
    plan: Plan,
    work: Path,
    target: Target,
    sources: Sequence[SourceNote],
    reports: Mapping[str, str] | None = None,
    sent: Sent | None = None,
) -> Pushed:
    """Export into a work folder and send what the target lacks; the card and the manifest go last.

    A killed push goes on: finished files of the work folder are kept, and files that are there already are
    not sent again. Files that the last push's manifest names and this one's does not are taken away.
    Raises PolicyError as `licensed` does, CorpusError where the target refuses.
    """
    manifest = export(plan, work)
    lacking = target.lacks(work, manifest["files"])
    for chunk in _chunks(lacking):
        paths = [file["path"] for file in chunk]
        target.send(work, paths)
        if sent:
            sent(paths)
    card = export_card(plan, manifest, sources, target.path, reports)
    old = target.read(MANIFEST)
    named = {file["path"] for file in manifest["files"]}
    before = [file["path"] for file in read_manifest(old, target.path)["files"]] if old else []
    stale = sorted(path for path in before if path not in named)
    last = {**card, MANIFEST: (work / MANIFEST).read_bytes()}
    target.finish(last, stale)
    if sent:
        sent(sorted(last))
    return Pushed(manifest["num_rows"], manifest["num_withheld"], len(named), len(lacking), len(stale))


def _chunks(files: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    taken: list[Mapping[str, Any]] = []
    num_bytes = 0
    for file in files:
        if taken and (len(taken) == COMMIT_FILES or num_bytes + file["bytes"] > COMMIT_BYTES):
            yield taken
            taken, num_bytes = [], 0
        taken.append(file)
        num_bytes += file["bytes"]
    if taken:
        yield taken
