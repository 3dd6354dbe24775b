"""What no tool checks: names that clash, sentences that are missing, dependencies that must not creep in."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "training", "generators", "sources", "teachers", "corpus", "schemas")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_a_sentence_and_stays_readable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring and docstring.split("\n")[0].endswith(".")
    assert text.count("\n") <= 400


def test_no_flow_file_is_named_like_a_package() -> None:
    # Prefect puts flows/ first on sys.path for file entrypoints: flows/sources.py would hide sources/
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & set(PACKAGES)


def test_tests_have_no_init_files() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_lock_holds_no_torch_and_nothing_that_compiles_llama() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)
    assert "prefect" in pinned
    assert not {"torch", "torchvision", "torchaudio", "llama-cpp-python"} & set(pinned)
    assert not [name for name in pinned if name.startswith("nvidia-")]


def test_the_locks_name_no_host_and_no_path() -> None:
    for name in ("requirements.lock", "requirements-data.lock"):
        assert not re.search(r"https?://|file:|--index|--find-links", (ROOT / name).read_text())


def test_every_dependency_is_pinned_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[\[<>=~! ]", line)[0].lower() for line in project["dependencies"]]
    lock = (ROOT / "requirements.lock").read_text()
    assert [name for name in names if f"\n{name}==" not in lock] == []


@pytest.mark.parametrize("module", ["flows.cli", "flows.plan", "corpus.manifest.snapshot", "sources.catalogue"])
def test_what_a_finished_run_imports_is_light(module: str) -> None:
    heavy = {"prefect", "datasets", "pandas", "pyarrow", "numpy", "openai", "pydicom", "nibabel", "xllamacpp", "torch"}
    code = f"import {module}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert heavy & set(loaded.stdout.split()) == set()
