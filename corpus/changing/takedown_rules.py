"""Takedown rules: which rows must go and why, checked, and kept in the corpus for good."""

import dataclasses
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

from corpus.layout import NAME_CHARS
from corpus.sealed import seal, unseal
from corpus.store.files import Files, files_of
from corpus.store.writing import Store, store_of, writing
from schemas.errors import ConfigError, CorpusError
from schemas.phi import find_phi

FOLDER: Final = "takedowns"
"""Where the rules are kept: one sealed JSON file per list, named by its content."""
FORMAT: Final = 1
KEYS: Final = ("source", "record_id", "group_id", "license", "id")
"""What a rule may match: all that it gives must hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows that must go: every key that is given must match.

    `group_id` is the row's own (`namespace:group`), or the part after the colon beside a `source`. `license`
    matches rows whose terms have it as one part (`"CC-BY-NC-4.0 AND Apache-2.0"`). `why` says what for and
    names no person; `by` is who asked and `date` (YYYY-MM-DD) when, both as far as they may be said.
    """

    why: str
    source: str | None = None
    record_id: str | None = None
    group_id: str | None = None
    license: str | None = None
    id: str | None = None
    by: str = ""
    date: str = ""

    @property
    def keys(self) -> dict[str, str]:
        """What it matches, by column."""
        return {key: value for key in KEYS if (value := getattr(self, key)) is not None}


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file: TOML with `[[rules]]`, or JSON lines. Raises ConfigError that names file, rule and key."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            tables: Any = tomllib.loads(text).get("rules")
        else:
            tables = [json.loads(line) for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: neither TOML (name it .toml) nor JSON lines: {error}") from None
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path}: no rule in it; write [[rules]] tables, or a JSON object per line")
    listed = cast("list[Any]", tables)
    return tuple(_rule(table, f"{path}: rule {number}") for number, table in enumerate(listed, 1))


def keep_rules(where: "Store | str | os.PathLike[str]", rules: Iterable[Rule]) -> str:
    """Put rules into a corpus for good; the path of their list. The same rules again are the same list."""
    store, listed = store_of(where), [asdict(rule) for rule in rules]
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    path = f"{FOLDER}/{digest[:NAME_CHARS]}.json"
    with writing(store.url):
        store.create(
            path, seal({"format": FORMAT, "recorded": time.strftime("%Y-%m-%d", time.gmtime()), "rules": listed})
        )
    return path


def kept_rules(where: "Files | str | os.PathLike[str]") -> dict[str, Rule]:
    """Every rule of a corpus by its name (`<list>#<number>`). Raises CorpusError where a list is broken."""
    files = files_of(where)
    return dict(pair for path in list_paths(files) for pair in _list(files, path))


def list_paths(files: Files) -> list[str]:
    """The lists of a corpus; their names are their content."""
    return [found.path for found in files.list(FOLDER) if found.path.endswith(".json")]


def _list(files: Files, path: str) -> list[tuple[str, Rule]]:
    name = path.removeprefix(f"{FOLDER}/").removesuffix(".json")
    try:
        body = unseal(files.read(path))
        if body["format"] != FORMAT:
            raise ValueError(f"its format is {body['format']}, not {FORMAT}; use the version that wrote it")
        return [(f"{name}#{number}", Rule(**rule)) for number, rule in enumerate(body["rules"], 1)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(
            f"takedown list {files.url}/{path} is broken: {error}; restore it from a copy: without it, rows that must "
            "go would come back"
        ) from error


def _rule(table: Any, where: str) -> Rule:
    known = [field.name for field in dataclasses.fields(Rule)]
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table of keys is expected: {', '.join(known)}")
    said = {key: str(value).strip() for key, value in cast("dict[str, Any]", table).items() if value is not None}
    for key, value in said.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
        if not value:
            raise ConfigError(f"{where}: key {key!r} is empty; leave it out, or say what it is")
    _check(said, where)
    return Rule(**said)


def _check(said: Mapping[str, str], where: str) -> None:
    """Refuse a rule without a reason, one whose reason names somebody, and one that would match more than is meant."""
    if "why" not in said:
        raise ConfigError(f"{where}: key 'why' is missing: say what the rows must go for, without naming a person")
    if found := find_phi(said["why"]):
        raise ConfigError(
            f"{where}: key 'why' holds what looks like {found[0]}; the corpus keeps it, so say it without"
        )
    if not set(KEYS).intersection(said):
        raise ConfigError(f"{where}: it would match every row; give at least one of {', '.join(KEYS)}")
    if "record_id" in said and "source" not in said:
        raise ConfigError(f"{where}: record ids are unique within a source only; give 'source' too")
    group = said.get("group_id", ":")
    if ":" not in group and "source" not in said:
        raise ConfigError(f"{where}: group_id {group!r} names no namespace; write 'namespace:group', or give 'source'")
