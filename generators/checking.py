"""Whether a value obeys a JSON Schema, and in what words it does not."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

NUM_KEPT: Final = 512
"""Compiled schemas kept: some 3 KB each without patterns, 40 KB with one (measured)."""


def obeys(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether a value, as JSON brought it, is an object that the schema allows."""
    return isinstance(value, dict) and _validator(orjson.dumps(schema)).is_valid(value)


def disobedience(value: object, schema: Mapping[str, Any]) -> str:
    """The first thing wrong with a value, in words that do not repeat it; "" when nothing is."""
    for error in _validator(orjson.dumps(schema)).iter_errors(value):
        where = "".join(f"/{part}" for part in error.instance_path)
        return f"{where}: {error.message}" if where else error.message
    return "" if isinstance(value, dict) else "it is not a JSON object"


def check_is_schema(schema: Mapping[str, Any], path: str) -> None:
    """ConfigError when this is no JSON Schema, or one that points to somewhere else."""
    from jsonschema_rs import ValidationError

    try:
        _validator(orjson.dumps(schema))
    except ValidationError as error:
        raise ConfigError(f"{path}: the header's reply is not a JSON Schema: {error.message}") from None


@functools.lru_cache(maxsize=NUM_KEPT)
def _validator(schema: bytes) -> "Draft202012Validator":
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(orjson.loads(schema), mask="the value", offline=True)
