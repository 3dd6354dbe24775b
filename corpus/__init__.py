"""The sharded Arrow corpus: `corpus.open(path)` reads it; `corpus/README.md` is the format."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpus.reader import Corpus


def open(path: "str | os.PathLike[str]", *, snapshot: str = "latest", demo: bool = False) -> "Corpus":
    """A corpus at a snapshot; rows of grade `demo` are left out unless `demo` is true.

    Raises CorpusError where there is no corpus or no such snapshot.
    """
    from pathlib import Path

    from corpus.reader import Corpus
    from corpus.snapshot import read_snapshot

    return Corpus(read_snapshot(Path(path), snapshot), demo=demo)
