"""Filling a prompt file's texts with a record's variables, strictly: what is not given is an error with its line."""

import functools
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_SPECIAL: Final = re.compile(r"[\\^$.|?*+()\[\]{}/]")
_MARKS: Final = ("{{", "{%", "{#", "\r")
"""A text with none of them is its own rendering; most sections of a prompt are such."""


def fill(text: str, path: str, line: int, variables: Mapping[str, object]) -> str:
    """`text`, which starts on `line` of the file at `path`, with its variables in place and stripped.

    ConfigError names file, line and what is undefined or misspelt.
    """
    if not any(mark in text for mark in _MARKS):
        return text.strip()
    from jinja2 import UndefinedError

    try:
        return _template(text, path, line).render(variables).strip()
    except UndefinedError as error:
        known = ", ".join(sorted(variables))
        raise ConfigError(f"{path}, line {_line(error, line)}: {error.message}; given: {known}") from None


@functools.lru_cache(maxsize=256)
def _template(text: str, path: str, line: int) -> "Template":
    from jinja2 import TemplateSyntaxError

    try:
        made = _environment().from_string(text)
    except TemplateSyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno + line - 1}: {error.message}") from None
    made.globals = dict(made.globals)  # every render copies them, and jinja's own chain of maps is slow to copy
    return made


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, StrictUndefined

    made = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    made.filters["literal"] = _literal
    return made


def _literal(text: str) -> str:
    """The `literal` filter: text as a pattern inside a JSON string, so that it matches itself alone."""
    return json.dumps(_SPECIAL.sub(r"\\\g<0>", text))[1:-1]


def _line(error: Exception, line: int) -> int:
    """The line of the file on which a template went wrong."""
    at, inner = line, error.__traceback__
    while inner is not None:
        if inner.tb_frame.f_code.co_filename == "<template>":
            at = line + inner.tb_lineno - 1
        inner = inner.tb_next
    return at
