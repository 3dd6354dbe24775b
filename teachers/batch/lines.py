"""The lines of a batch: a request on its way in, a result on its way out."""

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from schemas.errors import CorpusError, GenerationError
from teachers.answer import Answer
from teachers.failures import NotACompletion, refusal
from teachers.wire.completion import error_words, read_completion, shorten

ENDPOINT: Final = "/v1/chat/completions"
"""What every line asks, as OpenAI's batches name it."""

MAX_BYTES: Final = 200_000_000
"""The largest input file, in bytes: "up to 50,000 requests, and can be up to 200 MB in size" (OpenAI's
reference of `batches.create`; a server answers 400 "File is too large" beyond 200,000,000)."""

Places = dict[str, tuple[int, int]]
"""Where the line of each key is in a file: offset and length in bytes."""


def line_of(key: str, body: bytes) -> bytes:
    """The line that asks `body` under the name `key` (64 characters, the most that a custom_id takes)."""
    line = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": orjson.Fragment(body)}
    return orjson.dumps(line) + b"\n"


@contextmanager
def disk_errors(path: Path) -> Generator[None]:
    """CorpusError for what the disk refuses about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CorpusError(
            f"{path}: cannot be written: {reason}; free space or fix permissions, then run again"
        ) from error


class Spool:
    """The lines that are gathered for one batch, in a file without a name: nothing is left of it after a kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  it outlives this function
        self.size = 0
        self._places: Places = {}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def add(self, key: str, line: bytes) -> None:
        """Append one line; CorpusError when the disk refuses."""
        with disk_errors(self._folder):
            self.file.write(line)
        self._places[key] = self.size, len(line)
        self.size += len(line)

    def without(self, keys: Iterable[str]) -> "Spool":
        """The same lines without those of `keys`; this one is closed if that makes a difference."""
        dropped = set(keys) & self._places.keys()
        if not dropped:
            return self
        rest = Spool(self._folder)
        for key, place in self._places.items():
            if key not in dropped:
                rest.add(key, read_line(self.file, place))
        self.file.close()
        return rest


def read_line(file: BinaryIO, place: tuple[int, int]) -> bytes:
    """One line of a file."""
    file.seek(place[0])
    return file.read(place[1])


def places_of(path: Path) -> Places:
    """Where the result of each key is; the first counts, and what is no result is passed over."""
    places: Places = {}
    offset = 0
    with path.open("rb") as file:
        for line in file:
            key = _key_of(line)
            if key:
                places.setdefault(key, (offset, len(line)))
            offset += len(line)
    return places


def paid_keys(path: Path) -> Iterator[str]:
    """The keys whose results are answers."""
    with path.open("rb") as file:
        for line in file:
            key = _key_of(line)
            if key:
                response: Any = orjson.loads(line).get("response") or {}
                if response.get("status_code") == 200:
                    yield key


def answer_of(line: bytes, where: str, reasoning: str, clean: Callable[[str], str]) -> Answer | None:
    """The answer that a result brings; None when the request is to be asked again, online.

    `reasoning` says where the teacher's thinking is, `clean` takes secrets out of a server's words.
    Raises GenerationError when the server refuses the request for good.
    """
    result: Any = orjson.loads(line)
    response: Any = result.get("response") or {}
    status, body = response.get("status_code"), orjson.dumps(response.get("body"))
    if result.get("error") is None and status == 200:
        try:
            return read_completion(body, reasoning)
        except NotACompletion:
            return None
    if isinstance(status, int):
        error = refusal(where, status, shorten(clean(error_words(body))), {})
        if isinstance(error, GenerationError):
            raise error
    return None


def _key_of(line: bytes) -> str:
    try:
        key: Any = orjson.loads(line)["custom_id"]
    except (ValueError, LookupError, TypeError):
        return ""
    return key if isinstance(key, str) else ""
