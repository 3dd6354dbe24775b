"""What canary checks saw, one JSON line each; the first is what later ones are compared with."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import CorpusError
from teachers.answer import ServerFacts


@dataclass(frozen=True, slots=True)
class Said:
    """One canary answer and what the server said of itself beside it."""

    question: str
    text: str
    server: ServerFacts


@dataclass(frozen=True, slots=True)
class Check:
    """What one check saw. `at` is UTC; `drift` is what it told the person, "" for nothing."""

    at: str
    answers: tuple[Said, ...]
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    drift: str = ""


def log_of(folder: Path, identity: Mapping[str, str]) -> Path:
    """The file of a model and revision below `folder`."""
    named = orjson.dumps([identity["model"], identity["revision"]])
    return folder / f"{hashlib.sha256(named).hexdigest()[:32]}.jsonl"


def read_checks(path: Path) -> list[Check]:
    """Every whole line of a canary file, oldest first; none when there is no file."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror or error}") from None
    return [check for check in map(_parse, lines) if check is not None]


def append_check(path: Path, identity: Mapping[str, str], made: Check) -> None:
    """Add a line, whatever other processes add; CorpusError when it cannot be written."""
    line = orjson.dumps({"model": identity["model"], "revision": identity["revision"], **asdict(made)}) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            if file.seek(0, 2) and not _ends_a_line(file.fileno()):
                line = b"\n" + line  # a crash tore the line before
            file.write(line)  # at the end and in one piece: the file is open for appending
    except OSError as error:
        raise CorpusError(f"{path}: the canary check cannot be kept: {error.strerror or error}; make room") from None


def _parse(line: bytes) -> Check | None:
    try:
        data: Any = orjson.loads(line)
        answers = tuple(Said(each["question"], each["text"], ServerFacts(**each["server"])) for each in data["answers"])
        return Check(str(data["at"]), answers, dict(data["about"]), str(data["drift"]))
    except (ValueError, LookupError, TypeError):
        return None


def _ends_a_line(file: int) -> bool:
    return os.pread(file, 1, os.fstat(file).st_size - 1) == b"\n"
