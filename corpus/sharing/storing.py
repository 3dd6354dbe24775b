"""A push's target that is a folder or a bucket: whole files appear at once, the card last."""

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus.layout import CARD
from corpus.sharing.parts import MANIFEST
from corpus.store.local import make_folder, sync
from corpus.store.writing import store_of, writing


class StoreTarget:
    """See `corpus.sharing.pushing.Target`."""

    def __init__(self, where: str) -> None:
        self._store = store_of(where)

    @property
    def path(self) -> str:
        """The folder or URL."""
        return self._store.url

    def lacks(self, out: Path, files: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Files that are missing or have another size: a path under a plan's name has only one content."""
        with writing(self._store.url):
            there = {found.path: found.bytes for found in self._store.list("data")}
        return [file for file in files if there.get(file["path"]) != file["bytes"]]

    def read(self, path: str) -> bytes | None:
        """A small file."""
        try:
            return self._store.read(path)
        except FileNotFoundError:
            return None

    def send(self, out: Path, paths: Sequence[str]) -> None:
        """Copy to the store's scratch, then publish."""
        with writing(self._store.url):
            make_folder(self._store.scratch)
            for path in paths:
                staged = self._store.scratch / f"push-{os.getpid()}-{uuid.uuid4().hex}"
                shutil.copyfile(out / path, staged)
                sync(staged)
                self._store.publish(staged, path)

    def finish(self, files: Mapping[str, bytes], stale: Sequence[str]) -> None:
        """The card's other files, then the README that names the data, then the manifest."""
        with writing(self._store.url):
            for path in sorted(files, key=lambda path: (path == MANIFEST, path == CARD, path)):
                self._store.replace(path, files[path])
            for path in stale:
                self._store.remove(path)
