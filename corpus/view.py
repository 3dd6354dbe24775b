"""The hidden view that `datasets.load_from_disk` maps without a copy: two JSON files over the shards."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus.entries import CommitEntry
from corpus.layout import VIEW
from corpus.snapshot import Snapshot
from corpus.store import replace
from schemas.arrow import FEATURES


def write_view(root: Path, snapshot: Snapshot, entries: Sequence[CommitEntry], staging: Path) -> None:
    """Point the view at a snapshot's shards; `state.json`, which names them, changes in one step.

    `datasets` joins the names to the view's folder, so they climb out of it. A corpus without rows has
    no view: `datasets` cannot map nothing.
    """
    view = root / VIEW
    climb = "/".join([".."] * len(Path(VIEW).parts))
    names = [f"{climb}/{file.path}" for entry in entries for file in entry.files]
    if not names:
        (view / "state.json").unlink(missing_ok=True)
        return
    info = {"features": FEATURES, "description": f"Calabash corpus, snapshot {snapshot.name}"}
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": snapshot.corpus_sha256[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    replace(staging / "info", view / "dataset_info.json", json.dumps(info, default=dict).encode())
    replace(staging / "state", view / "state.json", json.dumps(state).encode())
