"""A whole pipeline for tests: five flows over the embedded sources, taught by the test endpoint."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]

FLOWS = {
    "captioning": '["pydicom-images", "skimage-photos"]',
    "long-annotation": '["colin27-regions", "dicom-reports"]',
    "multilingual-reasoning": '["icd-10-cm"]',
    "video-description": '["dicom-cines"]',
    "synthetic-qa": '["pydicom-images", "skimage-photos"]',
}


def write_pipeline(folder: Path, base_url: str, *, samples: int = 6, records_per_task: int = 2, more: str = "") -> Path:
    """A pipeline.toml in `folder` whose flows ask the endpoint at `base_url`."""
    tables = [
        f"""corpus = "corpus"
seed = 7

[teachers.endpoint]
base_url = "{base_url}"
model = "test-model"
revision = "1"
locality = "loopback"
accepts = ["text", "image", "video"]
license = "Apache-2.0"
max_in_flight = 8
max_retries = 2
canary = 0
"""
    ]
    for flow, sources in FLOWS.items():
        tables.append(
            f"""[flows.{flow}]
teacher = "endpoint"
sources = {sources}
samples = {samples}
records_per_task = {records_per_task}
"""
        )
    # the endpoint writes one sentence where a model would write paragraphs
    tables.append("[flows.multilingual-reasoning.gates]\nmin_words = 4\n")
    path = folder / "pipeline.toml"
    path.write_text("\n".join(tables) + more)
    return path


def calabash(*arguments: str, check: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would; the exit code and the output come back."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env=environment(**variables),
    )
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done


def said(*arguments: str) -> str:
    """What the command line prints, run in this process: for commands whose imports would take longer than they do."""
    from flows.cli import app

    with mock.patch.dict(os.environ, environment()), contextlib.redirect_stdout(io.StringIO()) as printed:
        app(arguments, standalone_mode=False)
    return printed.getvalue()


def start(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start the command line and do not wait: for tests that kill it."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(**variables),
        start_new_session=True,
    )


def environment(**variables: str) -> dict[str, str]:
    """This process's environment, with the checkout importable from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **variables}
