"""The sharded Arrow corpus: `corpus.open(path)` reads it; `corpus/README.md` is the format."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpus.reader.corpus import Corpus


def open(path: "str | os.PathLike[str]", *, snapshot: str = "latest", demo: bool = False) -> "Corpus":
    """A corpus at a snapshot; rows of grade `demo` are left out unless `demo` is true.

    `path` is a folder, or a URL such as `s3://bucket/prefix`; `snapshot` a number (`"v000017"`), a name, or the latest.
    Raises CorpusError where there is no corpus or no such snapshot.
    """
    from corpus.manifest.snapshot import read_snapshot
    from corpus.reader.corpus import Corpus

    return Corpus(read_snapshot(path, snapshot), demo=demo)
