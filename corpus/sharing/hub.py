"""A push's target on the Hugging Face Hub: commits of a few files, then one that makes them count."""

# pyright: reportUnknownMemberType=false
# (huggingface_hub leaves some types open)

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars

from corpus.sharing.parts import MANIFEST
from schemas.errors import CorpusError

KIND: Final = "dataset"
REFUSED: Final = cast("tuple[type[Exception], ...]", (*HfHubHTTPError.__bases__, RuntimeError))
"""The HTTP library's own errors (whichever huggingface_hub is built on), OSError, and a failed upload thread."""


class HubTarget:
    """See `corpus.sharing.pushing.Target`. The token is huggingface_hub's own business: $HF_TOKEN, or a log-in."""

    def __init__(self, repo: str) -> None:
        disable_progress_bars()  # push says what it sent
        self._repo = repo
        self._api = HfApi()

    @property
    def path(self) -> str:
        """ORG/NAME."""
        return self._repo

    def lacks(self, out: Path, files: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Files that the repository (made where there is none) lacks or has with another hash."""
        with _asking(self._repo):
            self._api.create_repo(self._repo, repo_type=KIND, exist_ok=True)
            tree = self._api.list_repo_tree(self._repo, repo_type=KIND, recursive=True)
            there = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        return [file for file in files if not _same(there.get(file["path"]), file, out)]

    def read(self, path: str) -> bytes | None:
        """A small file of the newest revision."""
        with _asking(self._repo):
            try:
                return Path(self._api.hf_hub_download(self._repo, path, repo_type=KIND)).read_bytes()
            except EntryNotFoundError:
                return None

    def send(self, out: Path, paths: Sequence[str]) -> None:
        """One commit of data files; what was uploaded before a kill is known to the Hub by its hash."""
        operations = [CommitOperationAdd(path, str(out / path)) for path in paths]
        self._commit(operations, f"Data: {len(paths)} files")

    def finish(self, files: Mapping[str, bytes], stale: Sequence[str]) -> None:
        """One commit: whoever loads the dataset sees the old files before it and the new ones after."""
        added = [CommitOperationAdd(path, data) for path, data in sorted(files.items())]
        self._commit([*added, *(CommitOperationDelete(path) for path in stale)], "Card and manifest")

    def _commit(self, operations: Sequence[CommitOperationAdd | CommitOperationDelete], message: str) -> None:
        with _asking(self._repo):
            self._api.create_commit(self._repo, operations, commit_message=message, repo_type=KIND)


@contextmanager
def _asking(repo: str) -> Generator[None, None, None]:
    """Turn what the Hub or the network says into one sentence; never a header, so never a token."""
    try:
        yield
    except REFUSED as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        said = str(cause).strip().splitlines() or [type(cause).__name__]
        raise CorpusError(
            f"cannot push to hf://{repo}: {said[0]}; run the same command again to go on, "
            "with a token that may write there in HF_TOKEN (or after `hf auth login`)"
        ) from error


def _same(found: RepoFile | None, file: Mapping[str, Any], out: Path) -> bool:
    """Whether a file of the repository has this content: large files are named by SHA-256, small ones as git does."""
    if found is None or found.size != file["bytes"]:
        return False
    if found.lfs is not None:
        return found.lfs.sha256 == file["sha256"]
    data = (out / file["path"]).read_bytes()
    return found.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def download(repo: str, folder: Path) -> None:
    """Fetch an export's data and manifest into a folder; files that are there already are not fetched again.

    Raises CorpusError where the Hub refuses.
    """
    try:
        patterns = ["data/*", MANIFEST]
        HfApi().snapshot_download(repo, repo_type=KIND, local_dir=folder, allow_patterns=patterns)
    except REFUSED as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise CorpusError(
            f"cannot fetch hf://{repo}: {said[0]}; check the name, and HF_TOKEN if it is private"
        ) from error
