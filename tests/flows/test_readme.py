"""The README's examples work as written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import corpus
from corpus.audit.verify import verify
from tests.support.pipelines import ROOT, environment, write_pipeline
from tests.support.serving import serve

README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", README, re.DOTALL))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is under version control, to add files to."""
    folder = tmp_path / "checkout"
    for name in ("flows", "generators", "sources", "teachers", "corpus", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _add(folder: Path, prefix: str) -> None:
    for name, text in FILES.items():
        if name.startswith(prefix):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


def _run(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "run",
        "captioning",
        "--no-server",
        "-c",
        str(folder / "pipeline.toml"),
    ]
    variables = environment(PYTHONPATH=str(folder))
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_examples_are_as_short_as_the_readme_says() -> None:
    assert len(FILES["my-sources/my-cases.toml"].splitlines()) < 30
    assert len(FILES["generators/finding_list.py"].splitlines()) < 40
    assert len(FILES) == 4


def test_the_source_of_the_readme_makes_rows(checkout: Path) -> None:
    _add(checkout, "my-sources/")
    for name in ("a.png", "b.png"):
        picture = Image.radial_gradient("L").resize((64, 48))
        picture.save(checkout / "my-sources" / "cases" / name)
    with serve(checkout / "endpoint.log") as url:
        path = write_pipeline(checkout, url)
        text = path.read_text().replace('corpus = "corpus"', 'corpus = "corpus-of-mine"\ncatalog = "my-sources"')
        path.write_text(text.replace('sources = ["pydicom-images", "skimage-photos"]', 'sources = ["my-cases"]', 1))
        _run(checkout)
    rows = corpus.open(checkout / "corpus-of-mine").to_pandas()
    rejects = corpus.open(checkout / "corpus-of-mine").rejects()
    assert len(rows) + rejects.num_rows == 2
    assert set(rows["source"]) == {"my-cases"}
    assert set(rows["modality"]) == {"X-Ray"}
    assert set(rows["license_class"]) == {"attribution"}


def test_the_generator_of_the_readme_makes_rows(checkout: Path) -> None:
    _add(checkout, "generators/")
    table = checkout / "generators" / "__init__.py"
    text = table.read_text().replace("    Verbatim,\n)", "    Verbatim,\n    FindingList,\n)")
    table.write_text(
        text.replace("from generators.base", "from generators.finding_list import FindingList\nfrom generators.base")
    )
    with serve(checkout / "endpoint.log") as url:
        path = write_pipeline(checkout, url)
        generator = '[flows.captioning]\ngenerator = "finding_list"\ngates = { min_words = 1 }\n'
        text = path.read_text().replace('corpus = "corpus"', 'corpus = "corpus-of-mine"')
        path.write_text(text.replace("[flows.captioning]\n", generator))
        _run(checkout)
    rows = list(corpus.open(checkout / "corpus-of-mine"))
    assert verify(checkout / "corpus-of-mine").ok
    assert {row["generator"] for row in rows} == {"finding_list@1"}
    assert {row["task"] for row in rows} == {"findings"}
