"""Build `calabash-reader`: what reads a corpus for training, as one wheel with one import name, from the same source.

    python scripts/reader_wheel.py [FOLDER]     # FOLDER: dist

The modules are those that `corpus.open`, `corpus.reader` and `training.feeding` import, however deep; they go to
`calabash_reader/` with their absolute imports rewritten, so a project with its own `corpus`, `schemas` or `training`
meets none of them. The same source makes the same bytes.
"""

import ast
import base64
import hashlib
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
NAME: Final = "calabash_reader"
ROOTS: Final = ("corpus", "corpus.reader", "training.feeding")
PACKAGES: Final = ("corpus", "schemas", "training")
NOT_READING: Final = ("corpus.audit", "corpus.likeness", "corpus.sharing", "corpus.store.bucket", "corpus.store.local")
"""What reading imports only inside functions that write, and never calls: left out."""
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the wheel: the earliest that a zip knows."""

INIT: Final = '''\
"""Reading a Calabash corpus for training: `open` it, filter it, mix it, feed it; it needs pyarrow only."""

from calabash_reader.corpus import open
from calabash_reader.corpus.reader import Feed, Fork, Mixture, fork
from calabash_reader.schemas.errors import ConfigError, CorpusError

__version__ = "{version}"
__all__ = ["ConfigError", "CorpusError", "Feed", "Fork", "Mixture", "fork", "open"]
'''

PAGE: Final = """\
# calabash-reader

Reads a corpus that Calabash made, from a folder or an object store, with pyarrow and nothing else.

```python
import calabash_reader

corpus = calabash_reader.open("s3://bucket/corpus").filter(modality=["CT", "MRI"], split="train")
feed = calabash_reader.Feed(corpus, batch_size=512, rank=0, world=8)
for rows in feed:                     # lists of dictionaries: messages, images (bytes), tags
    ...
state = feed.state(step)              # in the checkpoint; Feed(...).resume(state) goes on at any number of ranks
```

PyTorch: `pip install calabash-reader[torch]`, then `calabash_reader.training.feeding` has a `Dataset` and samplers.
"""


def main() -> None:
    """Build the wheel and say where it is."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"
    print(build(folder))


def build(folder: Path) -> Path:
    """Write the wheel into a folder; its path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    info = f"{NAME}-{version}.dist-info"
    files = {f"{NAME}/__init__.py": INIT.format(version=version), f"{NAME}/py.typed": ""}
    for module in sorted(closure(ROOTS)):
        files[f"{NAME}/{path_of(module).relative_to(ROOT).as_posix()}"] = rewritten(module)
    files[f"{info}/METADATA"] = metadata(project)
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: reader_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_text(encoding="utf-8")
    files[f"{info}/RECORD"] = record(files, f"{info}/RECORD")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{NAME}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode(), zipfile.ZIP_DEFLATED)
    return wheel


def closure(roots: tuple[str, ...]) -> set[str]:
    """Modules of this checkout that others import, anywhere in their text, with the packages that hold them."""
    found: set[str] = set()
    left = list(roots)
    while left:
        module = left.pop()
        if module in found or module.startswith(NOT_READING):
            continue
        found.add(module)
        left += [name for name in (*imports(module), module.rpartition(".")[0]) if name and is_module(name)]
    return found


def imports(module: str) -> Iterator[str]:
    """The modules of this checkout that a module names in its imports."""
    for node in import_nodes(module):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from (alias.name for alias in node.names)


def import_nodes(module: str) -> list[ast.Import | ast.ImportFrom]:
    """The imports of this checkout's packages in a module, in the order of their lines."""
    nodes = [node for node in ast.walk(ast.parse(text_of(module))) if isinstance(node, ast.Import | ast.ImportFrom)]
    ours = [node for node in nodes if any(name.split(".")[0] in PACKAGES for name in names_of(node))]
    return sorted(ours, key=lambda node: node.lineno)


def names_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that an import statement names. Raises ValueError for a relative one: the house has none."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.level:
        raise ValueError(f"line {node.lineno}: a relative import; name the module in full")
    return [node.module or ""]


def rewritten(module: str) -> str:
    """A module's text with its absolute imports under `calabash_reader`. Raises ValueError for `import corpus`."""
    lines = text_of(module).splitlines(keepends=True)
    for node in import_nodes(module):
        if isinstance(node, ast.Import):
            raise ValueError(f"{module}, line {node.lineno}: write `from package import module`; it can be moved")
        number, start = node.lineno - 1, node.col_offset + len("from ")
        line = lines[number]
        lines[number] = f"{line[:start]}{NAME}.{line[start:]}"
    text = "".join(lines)
    ast.parse(text)
    return text


def text_of(module: str) -> str:
    """A module's source."""
    return path_of(module).read_text(encoding="utf-8")


def path_of(module: str) -> Path:
    """Where a module of this checkout is."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of this checkout; a folder without `__init__.py` is a package too."""
    return name.split(".")[0] in PACKAGES and path_of(name).is_file()


def metadata(project: Mapping[str, object]) -> str:
    """The wheel's METADATA: pyarrow as this checkout needs it, torch only where it is asked for."""
    dependencies, extras = project["dependencies"], project["optional-dependencies"]
    assert isinstance(dependencies, list) and isinstance(extras, dict)
    (pyarrow,) = [line for line in dependencies if line.startswith("pyarrow")]
    (torch,) = [line for line in extras["train"] if line.startswith("torch>") or line == "torch"]
    return f"""\
Metadata-Version: 2.4
Name: calabash-reader
Version: {project["version"]}
Summary: Reads a Calabash corpus for training: filter, mix, shuffle, resume.
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: {project["requires-python"]}
Requires-Dist: {pyarrow}
Provides-Extra: torch
Requires-Dist: {torch}; extra == "torch"
Description-Content-Type: text/markdown

{PAGE}"""


def record(files: Mapping[str, str], own: str) -> str:
    """The wheel's RECORD: hash and size of every file, its own left empty."""
    lines: list[str] = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}")
    return "\n".join([*lines, f"{own},,", ""])


if __name__ == "__main__":
    main()
