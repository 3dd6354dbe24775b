"""The wheel `calabash-reader` in somebody else's project: pyarrow alone, one import name, the same rows."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import corpus
from corpus.reader import Feed
from tests.support.corpora import make_corpus

ROOT = Path(__file__).parents[2]

THEIRS = """
WHO = "theirs"
"""

JOB = """
import hashlib, json, sys
import schemas, training, training.feeding, corpus
assert {schemas.WHO, training.WHO, training.feeding.WHO, corpus.WHO} == {"theirs"}

import calabash_reader as reader

def digest(row):
    text = json.dumps(row, sort_keys=True, default=bytes.hex)
    return [row["id"], hashlib.sha256(text.encode()).hexdigest()]

path, worker, num_workers, state = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
opened = reader.open(path).filter(modality=["CT", "MRI"], flow="captioning")
feed = reader.Feed(opened, 2, seed=3, worker=worker, num_workers=num_workers)
if state:
    feed.resume(state)
steps = {step: [digest(row) for row in rows] for step, rows in zip(feed.steps(), feed, strict=True)}
rows = [digest(row) for row in opened]
try:
    reader.open(path + "/nowhere")
except reader.CorpusError as error:
    said = str(error)
heavy = sorted({"numpy", "pandas", "xxhash", "obstore", "datasets", "torch", "duckdb"} & set(sys.modules))
where = sorted({sys.modules[name].__file__ or "" for name in ("schemas", "training", "corpus", "training.feeding")})
print(json.dumps({"rows": rows, "steps": steps, "heavy": heavy, "state": feed.state(2), "said": said, "where": where}))
"""


def script() -> ModuleType:
    """`scripts/reader_wheel.py`, which is no package."""
    spec = importlib.util.spec_from_file_location("reader_wheel", ROOT / "scripts" / "reader_wheel.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return script().build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and pyarrow, made by uv, from its cache where that has pyarrow."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    folder = tmp_path_factory.mktemp("env") / "venv"
    cache = ROOT / ".cache" / "uv"
    env = {**os.environ, **({"UV_CACHE_DIR": str(cache)} if cache.exists() else {}), "UV_LINK_MODE": "hardlink"}
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], env=env, check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder), str(wheel), f"pyarrow=={version('pyarrow')}"]
    if subprocess.run([*install, "--offline"], env=env, capture_output=True).returncode:
        subprocess.run(install, env=env, check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its own `schemas`, `training` and `corpus`."""
    folder = tmp_path_factory.mktemp("theirs")
    for name in ("schemas/__init__.py", "training/__init__.py", "training/feeding.py", "corpus.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(THEIRS)
    (folder / "job.py").write_text(JOB)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def digest(row: Mapping[str, Any]) -> list[str]:
    text = json.dumps(row, sort_keys=True, default=bytes.hex)
    return [row["id"], hashlib.sha256(text.encode()).hexdigest()]


def run(python: Path, theirs: Path, root: Path, worker: int, num_workers: int, state: Mapping[str, Any] | None) -> dict:
    """A worker's job in the other project, where no path of this checkout is known."""
    command = [str(python), "job.py", str(root), str(worker), str(num_workers), json.dumps(state)]
    done = subprocess.run(
        command, cwd=theirs, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_another_project_reads_feeds_and_resumes_the_rows_of_this_checkout(
    python: Path, theirs: Path, root: Path
) -> None:
    opened = corpus.open(root).filter(modality=["CT", "MRI"], flow="captioning")
    feed = Feed(opened, 2, seed=3)
    expected = {str(step): [digest(row) for row in rows] for step, rows in zip(feed.steps(), feed, strict=True)}
    workers = [run(python, theirs, root, worker, 2, None) for worker in range(2)]
    assert workers[0]["rows"] == [digest(row) for row in opened]
    assert {**workers[0]["steps"], **workers[1]["steps"]} == expected
    assert len(expected) == len(opened) // 2 == 6
    state = workers[0]["state"]
    assert state == feed.state(2)
    resumed = run(python, theirs, root, 0, 1, state)
    assert resumed["steps"] == {step: rows for step, rows in expected.items() if int(step) >= 2}
    for found in (*workers, resumed):
        assert found["heavy"] == []
        assert all(Path(path).is_relative_to(theirs) for path in found["where"])
        assert "holds no snapshot" in found["said"]


def test_the_environment_holds_pyarrow_and_the_wheel_alone(python: Path) -> None:
    folders = (python.parents[1] / "lib").glob("*/site-packages/*.dist-info")
    assert sorted(path.name.partition("-")[0] for path in folders) == ["calabash_reader", "pyarrow"]


def test_the_wheel_asks_for_pyarrow_only_and_has_one_name(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = f"calabash_reader-{project['version']}.dist-info"
        assert {name.split("/")[0] for name in names} == {"calabash_reader", info}
        page = archive.read(f"{info}/METADATA").decode()
        text = "".join(archive.read(name).decode() for name in names if name.endswith(".py"))
    needs = [line for line in page.splitlines() if line.startswith("Requires-Dist: ")]
    assert len(needs) == 2
    assert needs[0].startswith("Requires-Dist: pyarrow>=") and needs[1].endswith('; extra == "torch"')
    assert "License-Expression: Apache-2.0" in page
    assert f"{info}/licenses/LICENSE" in names
    assert "calabash_reader/training/feeding.py" in names
    for package in ("corpus", "schemas", "training"):
        assert f"\nfrom {package}" not in text and f" import {package}\n" not in text


def test_the_same_source_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert script().build(tmp_path).read_bytes() == wheel.read_bytes()


def test_every_module_of_the_wheel_imports_but_the_one_that_wants_torch(
    wheel: Path, python: Path, theirs: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        paths = [
            name.removesuffix(".py").removesuffix("/__init__") for name in archive.namelist() if name[-3:] == ".py"
        ]
    modules = [path.replace("/", ".") for path in paths if not path.endswith("training/feeding")]
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    subprocess.run([str(python), "-c", code, *modules], cwd=theirs, env={"PATH": "/usr/bin:/bin"}, check=True)
