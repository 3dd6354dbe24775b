"""The object store that mirrors kept replies: S3 and its kin, GCS, Azure, or a folder (`file://`)."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from schemas.errors import ConfigError
from teachers.replay.names import LINES, Span

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig  # types only: obstore has no such names when it runs

CLIENT: Final["ClientConfig"] = {"connect_timeout": "5s", "timeout": "60s", "allow_http": True}
"""Plain HTTP is for an endpoint that the environment names so, such as a store on this network."""

RETRY: Final["RetryConfig"] = {"max_retries": 1, "retry_timeout": timedelta(seconds=30)}
"""One quick retry of a request; what fails then is tried again by the mirror, later."""

Result = TypeVar("Result")


class Store:
    """Segments in an object store: immutable objects `<source>/<shard>-<block>/<writer>/<first byte>.jsonl`.

    Credentials and endpoints come from the environment, as the store's own tools have them
    (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...). ConfigError for a URL that names no store; every
    other method raises OSError when the store refuses or is away.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._store = _open(url)
        except (BaseError, ValueError, OSError) as error:
            raise ConfigError(
                f"[replies]: mirror = {url!r}: {_first_line(error)}; give a prefix such as "
                '"s3://bucket/replies", "gs://bucket/replies", "az://container/replies" or "file:///folder"'
            ) from None

    def segments(self, block: str) -> list[Span]:
        """The segments of one block."""
        found = _asking(lambda: _list(self._store, block))
        spans: list[Span] = []
        for meta in found:
            *_, writer, name = meta["path"].split("/")
            start = name.removesuffix(LINES)
            if start.isdigit():
                spans.append(Span(writer, int(start), int(start) + meta["size"]))
        return spans

    def put(self, block: str, writer: str, start: int, data: bytes) -> int:
        """Keep a segment; where the writer's next begins (an earlier run may have kept another cut)."""
        path = _object(block, writer, start)

        def create() -> int:
            try:
                obstore.put(self._store, path, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return start + obstore.head(self._store, path)["size"]
            return start + len(data)

        return _asking(create)

    def get(self, block: str, span: Span) -> bytes:
        """A segment's bytes."""
        path = _object(block, span.writer, span.start)
        return _asking(lambda: bytes(obstore.get(self._store, path).bytes()))


def _object(block: str, writer: str, start: int) -> str:
    return f"{block}/{writer}/{start:012d}{LINES}"


def _list(store: ObjectStore, block: str) -> "list[ObjectMeta]":
    pages = obstore.list(store, prefix=block)  # pyright: ignore[reportUnknownMemberType]  # an overload without types
    return [meta for page in pages for meta in page]


def _open(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)), mkdir=True)
    return from_url(url, client_options=CLIENT, retry_config=RETRY)


def _asking(call: Callable[[], Result]) -> Result:
    """The call's result; whatever a store's client raises becomes an OSError of one line."""
    try:
        return call()
    except (BaseError, ValueError, OSError, NotImplementedError) as error:
        raise OSError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
