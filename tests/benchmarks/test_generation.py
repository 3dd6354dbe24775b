"""The benchmark of generation runs, and loses nothing while it does."""

import json
import subprocess
import sys

import pytest

from tests.support.pipelines import ROOT

KEYS = (
    "cpu_ms_per_record",
    "records_per_s",
    "reference_cpu_ms",
    "image_cpu_ms",
    "image_bytes_written",
    "repaid_after_kill",
    "lost_rows",
    "peak_mb",
)


@pytest.mark.slow
def test_the_quick_form_ends_with_one_json_object_of_every_key() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.generation", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(KEYS) <= set(found)
    assert found["repaid_after_kill"] == found["lost_rows"] == 0
    assert found["cpu_ms_per_record"] > found["reference_cpu_ms"] > 0
