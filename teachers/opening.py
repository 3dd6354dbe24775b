"""Opening a teacher: from a name in pipeline.toml to an `ask` that nothing gets around."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.errors import ConfigError
from schemas.pipeline import Teacher
from teachers import policy
from teachers.budget import Budget
from teachers.failures import public_url
from teachers.pictures.sender import check_pictures
from teachers.teacher import Means, OpenTeacher


def key_of(name: str, config: Teacher) -> str | None:
    """The key in the variable that `api_key_env` names; ConfigError, never with the value, otherwise."""
    variable = config.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"[teachers.{name}]: api_key_env names the variable {variable}, which is not set; "
            f"export {variable}, or remove api_key_env if the endpoint needs no key"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"[teachers.{name}]: the key in {variable} has characters that no HTTP header takes; set it again"
        )
    return key


def check_place(name: str, config: Teacher) -> None:
    """ConfigError for a place that cannot be, a locality that its URLs deny, or pictures that cannot arrive."""
    check_urls(name, config)
    policy.locality_of(name, config)
    check_pictures(name, config)
    if config.batch is not None and len(config.base_url) != 1:
        raise ConfigError(f"[teachers.{name}.batch]: batches need one base_url, and there are {len(config.base_url)}")
    if config.batch is not None and config.pictures.send == "file":
        raise ConfigError(f'[teachers.{name}.batch]: a batch carries its pictures; remove send = "file" from pictures')


def check_urls(name: str, config: Teacher) -> None:
    """ConfigError, without a secret, for a base_url that cannot be one, holds a password, or is not used."""
    if config.is_embedded and config.base_url:
        raise ConfigError(f"[teachers.{name}]: {config.model} is started by the run; remove base_url")
    for url in config.base_url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"[teachers.{name}]: base_url {public_url(url)!r} is not an http(s) URL")
        if "@" in parts.netloc:
            raise ConfigError(
                f"[teachers.{name}]: base_url {public_url(url)!r} holds a user or password; put the key into "
                "a variable and name it with api_key_env"
            )


@asynccontextmanager
async def open_teacher(
    name: str,
    config: Teacher,
    *,
    root: Path,
    others: Mapping[str, Teacher] | None = None,
    budget: Budget | None = None,
    replay_only: bool = False,
) -> AsyncGenerator[OpenTeacher]:
    """A teacher ready to be asked, for as long as the block lasts; `root` is the corpus folder.

    `others` are the pipeline's teachers, for its fallbacks. With `replay_only` a request that no kept
    reply answers is a TeacherError. ConfigError when a key, a package or a locality claim is wrong.
    """
    known = {**(others or {}), name: config}
    budget = budget or Budget()
    async with AsyncExitStack() as stack:
        chain: list[OpenTeacher] = []
        for each in (*config.fallback, name):  # the teacher itself last: it is given the others
            table = known[each]
            check_place(each, table)
            means = None if replay_only else Means(budget, root, key_of(each, table), _keys_but(each, known))
            one = OpenTeacher(each, table, means, fallbacks=tuple(chain) if each == name else ())
            stack.push_async_callback(one.close)
            chain.append(one)
        yield chain[-1]


def kept_teacher(kept: Mapping[str, Any]) -> OpenTeacher:
    """Whoever answered once, as the replies that are kept; `kept` is a teacher's table in a recipe.

    Every request that no kept reply answers is a TeacherError.
    """
    fallbacks = tuple(kept_teacher(other) for other in kept.get("fallbacks", ()))
    who = {part: kept[part] for part in ("name", "model", "revision")}
    place = {"model": kept["model"], "locality": "loopback", "base_url": "http://127.0.0.1/"}
    config = Teacher.model_validate({**place, **kept["asking"]})
    return OpenTeacher(kept["name"], config, None, known=who, fallbacks=fallbacks)


def _keys_but(name: str, teachers: Mapping[str, Teacher]) -> frozenset[str]:
    """The variables that hold the keys of every other teacher."""
    own = teachers[name].api_key_env
    names = {each.api_key_env for each in teachers.values() if each.api_key_env is not None}
    return frozenset(names - {own})
