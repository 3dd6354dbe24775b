"""What a generator needs of a reply: a pydantic model, and the JSON Schema that asks a teacher for it."""

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from schemas.errors import ConfigError

_DECORATION: Final = ("title", "description", "default")
"""What a JSON Schema says to people; a teacher's server is sent the rest."""


class Shape(BaseModel):
    """The fields that a generator reads from a reply; a prompt's own further fields stay in it.

    A field without a default is one that every prompt of the generator must ask for. This one, with no
    fields, is for replies that only the prompt's `# answer` section reads.
    """

    model_config = ConfigDict(extra="allow", frozen=True)


@functools.cache
def schema_of(shape: type[Shape]) -> Mapping[str, Any] | None:
    """The JSON Schema of a shape, every field required and none added; None when it has no fields."""
    if not shape.model_fields:
        return None
    fields = {name: _bare(field) for name, field in shape.model_json_schema()["properties"].items()}
    return {"type": "object", "additionalProperties": False, "required": list(fields), "properties": fields}


def check_named(shape: type[Shape], reply: str, path: str) -> None:
    """ConfigError when the header's `reply`, before any record fills it, lacks a field that the shape needs."""
    for name in required(shape) if reply else ():
        if not re.search(rf'"{re.escape(name)}"\s*:', reply):
            raise ConfigError(_lacks(path, name, f'add "{name}" to its properties and to "required"'))


def check_schema(shape: type[Shape], schema: Mapping[str, Any], path: str) -> None:
    """ConfigError when a rendered schema does not promise what the shape needs."""
    theirs, promised = schema.get("properties", {}), schema.get("required", ())
    for name in required(shape):
        if name not in theirs or name not in promised:
            where = '"required"' if name in theirs else "its properties"
            raise ConfigError(_lacks(path, name, f'add "{name}" to {where}'))
    for name, kinds in _kinds(shape).items():
        declared = theirs.get(name, {}).get("type", ())
        if not kinds.issuperset((declared,) if isinstance(declared, str) else declared):
            one_of = " or ".join(sorted(kinds))
            raise ConfigError(f"{path}: the header's reply has {name!r} as {declared!r}; it must be {one_of}")


@functools.cache
def required(shape: type[Shape]) -> tuple[str, ...]:
    """The names of the fields without which a reply is of no use to the generator."""
    return tuple(name for name, field in shape.model_fields.items() if field.is_required())


def _lacks(path: str, name: str, advice: str) -> str:
    return f"{path}: the header's reply does not promise {name!r}, which its generator reads; {advice}"


def _bare(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field's schema without the words for people, and without null: what may be left out is asked for."""
    some: list[Mapping[str, Any]] = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    bare = {key: value for key, value in field.items() if key not in (*_DECORATION, "anyOf")}
    if len(some) == 1:
        return bare | _bare(some[0])
    return bare | ({"anyOf": [_bare(one) for one in some]} if some else {})


@functools.cache
def _kinds(shape: type[Shape]) -> Mapping[str, frozenset[str]]:
    """The JSON types that each field of a shape may have; a field that may have any is left out."""
    fields: Mapping[str, Any] = shape.model_json_schema().get("properties", {})
    kinds = {
        name: frozenset(one.get("type", "") for one in field.get("anyOf", (field,))) for name, field in fields.items()
    }
    return {name: kind for name, kind in kinds.items() if "" not in kind}
