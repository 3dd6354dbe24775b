"""What a corpus has kept of its teacher's replies, read without any code of the project."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa


def kept_requests(corpus: Path) -> set[str]:
    """The bodies (by the start of their SHA-256) whose reply can be read in a reply log or table right now."""
    found: set[str] = set()
    for log in corpus.glob("replies/**/*.jsonl"):
        for line in log.read_bytes().split(b"\n"):
            try:
                found.add(json.loads(line)["server"]["system_fingerprint"].removeprefix("fp_"))
            except ValueError:
                continue  # a line that the kill cut short
    for table in corpus.glob("replies/**/*.arrow"):
        with pa.ipc.open_file(str(table)) as file:
            column = file.read_all().column("system_fingerprint")
        found |= {str(value).removeprefix("fp_") for value in column.to_pylist()}
    return found


def asked(log: Path) -> Counter[str]:
    """How often the endpoint answered each body."""
    return Counter(line[:16] for line in log.read_text().split()) if log.exists() else Counter()
