"""What every peer's script shares: its options, its cases and its last line."""

import argparse
import base64
import json
import time
from pathlib import Path
from typing import Any

from cases import prompt

BEGAN = time.perf_counter()


def options() -> argparse.Namespace:
    """--url --folder --n --in-flight [--images FOLDER] [--resume], as benchmarks.generation gives them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--images")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def rows(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """The cases with their prompts and, where there are pictures, the picture's path."""
    pictures = [str(path) for path in sorted(Path(chosen.images).iterdir())] if chosen.images else []
    return [
        {"id": number, "prompt": prompt(number), **({"image": pictures[number]} if pictures else {})}
        for number in range(chosen.n)
    ]


def encoded(path: str) -> str:
    """A picture's bytes in base64."""
    return base64.b64encode(Path(path).read_bytes()).decode()


def report(num_rows: int, num_ok: int, began: float) -> None:
    """The last line: rows, rows with an answer, seconds without imports."""
    seconds = time.perf_counter() - began
    print("RESULT " + json.dumps({"rows": num_rows, "ok": num_ok, "run_s": seconds, "import_s": began - BEGAN}))
