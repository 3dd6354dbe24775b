"""The configurations of a dataset card: which files `datasets.load_dataset(path, name)` takes for each split."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from corpus.layout import SPLITS, modality_slug

MAX_LISTED: Final = 1_000
"""Files that a card names one by one. Each stands in three configurations; at 1,000 the front matter is
0.3 MB and `load_dataset` takes 0.9 s to resolve it (patterns: 0.7 s); at 12,000 it is 3.2 MB and 6.4 s (4.0 s)."""

Configs = Mapping[str, Mapping[str, Sequence[str]]]
"""Paths or patterns by configuration and split."""
Spell = Callable[[str, Iterable["CardFile"]], list[str]]
"""How the files of a configuration and split are named, given the configuration's name."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """A data file of a card: `<root>/<flow>/<license_class>/modality=<slug>/<split>-*`."""

    path: str
    flow: str
    modality: str
    split: str


def configurations(files: Sequence[CardFile]) -> Configs:
    """`default` is everything, then flows, then modalities; a split or a configuration without files is left out.

    Few files are named one by one: a pattern would also match what no snapshot holds. Many are named by
    patterns, which are right once `calabash gc` has removed what no snapshot names.
    """
    spell = _listed if len(files) <= MAX_LISTED else _globbed
    flows = sorted({file.flow for file in files})
    slugs = sorted({modality_slug(file.modality) for file in files})
    by_config: dict[str, Sequence[CardFile]] = {"default": files}
    by_config |= {flow: [file for file in files if file.flow == flow] for flow in flows}
    by_config |= {slug: [file for file in files if modality_slug(file.modality) == slug] for slug in slugs}
    return {name: _by_split(name, chosen, spell) for name, chosen in by_config.items() if chosen}


def yaml_of(configs: Configs) -> str:
    """The front matter's `configs`; a JSON string is a YAML string."""
    lines = ["configs:"] if configs else []
    for name, splits in configs.items():
        lines += [f"- config_name: {json.dumps(name)}", "  data_files:"]
        for split, paths in splits.items():
            lines += [f"  - split: {split}", "    path:", *(f"    - {json.dumps(path)}" for path in paths)]
    return "".join(f"{line}\n" for line in lines)


def _by_split(name: str, files: Sequence[CardFile], spell: Spell) -> dict[str, list[str]]:
    by_split = {split: [file for file in files if file.split == split] for split in SPLITS}
    return {split: spell(name, found) for split, found in by_split.items() if found}


def _listed(name: str, files: Iterable[CardFile]) -> list[str]:
    return [file.path for file in files]


def _globbed(name: str, files: Iterable[CardFile]) -> list[str]:
    """One pattern for each folder above the flows' (there is one, `data`, in a corpus)."""
    patterns: set[str] = set()
    for file in files:
        path = PurePosixPath(file.path)
        flow = file.flow if name == file.flow else "*"
        folder = path.parent.name if name == modality_slug(file.modality) else "*"
        patterns.add(f"{path.parents[3]}/{flow}/*/{folder}/{file.split}-*{path.suffix}")
    return sorted(patterns)
