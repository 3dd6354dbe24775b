"""The command of `serve`: its words, its port and URL, its environment, and what its exit code means."""

import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from schemas.errors import ConfigError
from schemas.pipeline import Teacher

PORT: Final = "{port}"
"""What stands for a free port in `serve`."""

DEFAULTS: Final = {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
"""Given to a server that is not told otherwise: it reports to nobody, and its last words reach the log."""


def command_and_url(name: str, config: Teacher) -> tuple[list[str], str]:
    """The words of `serve` with the path of its program and its port, and the base URL where it will answer.

    ConfigError for a command that cannot be split, has no program on this machine, or has no one place.
    """
    words = _split(name, config.serve or "")
    url = _url(name, config, words)
    port = url.rpartition(":")[2].partition("/")[0]
    words = [word.replace(PORT, port) for word in words]
    return [_program(name, words[0]), *words[1:]], url


def environment(withheld: Collection[str]) -> dict[str, str]:
    """What the server sees: all that the run sees, without the variables in `withheld`.

    The server's own settings come this way (its own key, a token for weights, the GPUs it may use); other
    teachers' keys are no business of its.
    """
    return {**DEFAULTS, **{name: value for name, value in os.environ.items() if name not in withheld}}


def secret_of(config: Teacher) -> str:
    """The teacher's own key, to be struck out of what its server says; "" when it has none."""
    return os.environ.get(config.api_key_env, "").strip() if config.api_key_env else ""


def exit_words(code: int) -> str:
    """For example `exit code 1`, `exit code 137 (SIGKILL)`."""
    number = code - 128 if code > 128 else -code
    try:
        return f"exit code {code} ({signal.Signals(number).name})"
    except ValueError:
        return f"exit code {code}"


def _split(name: str, serve: str) -> list[str]:
    try:
        words = shlex.split(serve)
    except ValueError as error:
        raise ConfigError(f"[teachers.{name}]: serve = {serve!r} cannot be split into words: {error}") from None
    if not words:
        raise ConfigError(f"[teachers.{name}]: serve is empty; give a command, or remove it")
    return words


def _url(name: str, config: Teacher, words: list[str]) -> str:
    if any(PORT in word for word in words):
        if config.base_url:
            raise ConfigError(
                f"[teachers.{name}]: serve has {PORT}, so the run chooses where it listens; remove base_url, or give "
                "the port of base_url in serve"
            )
        return f"http://127.0.0.1:{_free_port()}/v1"
    if len(config.base_url) != 1:
        raise ConfigError(
            f"[teachers.{name}]: serve has no {PORT}, so base_url must say where it will answer: one URL, not "
            f"{len(config.base_url)}; or write --port {PORT}"
        )
    return config.base_url[0].rstrip("/")


def _free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _program(name: str, word: str) -> str:
    """The program's path: on PATH, or beside our own Python, where `pip install` puts one."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    found = shutil.which(word, path=path)
    if found is None:
        raise ConfigError(
            f"[teachers.{name}]: serve starts {word!r}, and there is no such program on PATH; install it, or give "
            "its whole path"
        )
    return found
