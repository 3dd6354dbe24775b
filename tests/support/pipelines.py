"""A whole pipeline for tests: five flows over the embedded sources, taught by the test endpoint."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FLOWS = {
    "captioning": '["pydicom-images", "skimage-photos"]',
    "long-annotation": '["mni152-regions", "dicom-reports"]',
    "multilingual-reasoning": '["icd-10-cm"]',
    "video-description": '["dicom-cines"]',
    "synthetic-qa": '["pydicom-images", "icd-10-cm"]',
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
    path = folder / "pipeline.toml"
    path.write_text("\n".join(tables) + more)
    return path


def calabash(
    *arguments: str, cwd: Path = ROOT, check: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would; the exit code and the output come back."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=check,
        timeout=240,
        env=environment(**variables),
    )


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
