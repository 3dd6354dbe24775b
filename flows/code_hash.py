"""A hash of the source text that decides a task's rows, so that nobody has to remember a version number."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout."""

PACKAGES: Final = ("flows", "generators", "sources", "schemas")
"""Packages whose text decides rows. Teachers and the corpus carry rows; they do not decide them."""


@cache
def code_sha256(modules: tuple[str, ...]) -> str:
    """Hash of the modules and of every project module that they import, directly or not.

    `modules` are dotted names such as `"generators.caption"`. Data files beside a module (lexicons,
    tables) count with it when they sit in its folder as .csv. Hashed once per process, which runs the
    code that it started with whatever is edited meanwhile.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(modules)):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(b"\x00" + path.read_bytes() + b"\x00")
    return digest.hexdigest()


def _closure(modules: Iterable[str]) -> set[Path]:
    found: set[Path] = set()
    waiting = [path for module in modules for path in _files_of(module)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imports(path) for file in _files_of(name)]
    tables = {table for path in found for table in path.parent.glob("*.csv")}
    return found | tables


@cache
def _files_of(module: str) -> tuple[Path, ...]:
    """The file of a project module and the `__init__` of its packages; empty for other modules."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return ()
    folder = ROOT.joinpath(*parts)
    own = folder.with_suffix(".py") if folder.with_suffix(".py").exists() else folder / "__init__.py"
    return (own,) if own.exists() else ()


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports at any depth of its code, as dotted names."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)
