"""Opening an object store by its URL, and asking it patiently; what it cannot do is an OSError of one line."""

import errno
import random
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig  # types only: it has no such names when it runs

CLIENT: Final["ClientConfig"] = {"connect_timeout": "5s", "timeout": "120s", "allow_http": True}
"""Plain HTTP is for an endpoint that the environment names so, such as a store on this network."""

RETRY: Final["RetryConfig"] = {"max_retries": 1, "retry_timeout": timedelta(seconds=30)}
"""One quick retry inside the client; `Patience` has the slow ones."""

FIRST_S: Final = 5.0
"""How long a store that has never answered is asked again, in seconds: its address may be wrong."""

PATIENCE_S: Final = 120.0
"""How long one that has answered is asked again, in seconds: it restarts, or asks to be asked less."""

LONGEST_PAUSE_S: Final = 5.0

PASSING: Final = frozenset({408, 409, 425, 429})
"""HTTP statuses below 500 that another try may not meet (409: two conditional puts at the same moment)."""

Answer = TypeVar("Answer")


def open_objects(url: str) -> "ObjectStore":
    """The store behind a prefix such as `s3://bucket/prefix`; asks it nothing.

    Credentials, region and endpoint come from the environment, as the store's own tools have them
    (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...). ConfigError for a URL that names no store.
    """
    try:
        opened = from_url(url, client_options=CLIENT, retry_config=RETRY)
    except (BaseError, ValueError, OSError) as error:
        raise ConfigError(_no_store(url, first_line(error))) from None
    if not isinstance(opened, S3Store | GCSStore | AzureStore):
        raise ConfigError(_no_store(url, "a corpus cannot be written there"))
    return opened


class Patience:
    """Asks one store: what may pass is tried again, longer once the store has answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._has_answered = False

    def ask(self, path: str, call: Callable[[], Answer]) -> Answer:
        """What `call` returns; `path` is the object that it is about.

        Raises FileNotFoundError where there is no such object, OSError for whatever else the store says.
        """
        began, num_tries = time.monotonic(), 0
        while True:
            try:
                answer = call()
            except (BaseError, ValueError, OSError, NotImplementedError) as error:
                patience = PATIENCE_S if self._has_answered else FIRST_S
                if not may_pass(error) or time.monotonic() - began >= patience:
                    raise as_os_error(error, f"{self._url}/{path}".rstrip("/")) from error
            else:
                self._has_answered = True
                return answer
            time.sleep(min(LONGEST_PAUSE_S, 0.1 * 2**num_tries) * random.uniform(0.5, 1.0))
            num_tries += 1


def may_pass(error: Exception) -> bool:
    """Whether the same request may be answered a moment later: the network, a timeout, a busy or broken server."""
    final = (FileNotFoundError, NotSupportedError, PermissionDeniedError, UnauthenticatedError)
    if isinstance(error, (*final, ValueError, NotImplementedError)):
        return False
    status = status_of(error)
    return status is None or status >= 500 or status in PASSING


def status_of(error: Exception) -> int | None:
    """The HTTP status that the store answered with; None where it did not answer."""
    found = re.search(r"status code: (\d{3})", first_line(error))
    return int(found[1]) if found else None


def as_os_error(error: Exception, where: str) -> OSError:
    """The store client's error in one line, with what to do where that is known."""
    line = first_line(error)
    if "NoSuchBucket" in str(error):
        return OSError(errno.EIO, "there is no such bucket; make it, or correct the URL", where)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "the store has no such object", where)
    if "169.254.169.254" in line:  # where cloud machines have their credentials: the last place that is tried
        line = f"no credentials are in the environment (such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY): {line}"
    elif isinstance(error, PermissionDeniedError | UnauthenticatedError):
        line = f"the store refuses these credentials; give them the right to list, read and write there: {line}"
    return OSError(errno.EIO, line, where)


def first_line(error: Exception) -> str:
    """What an error says, without the client's inner state; an answer's XML ends it."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.split(": <?xml")[0]


def _no_store(url: str, why: str) -> str:
    return (
        f"corpus = {url!r}: {why}; give a folder, or a prefix such as "
        '"s3://bucket/prefix", "gs://bucket/prefix" or "az://container/prefix"'
    )
