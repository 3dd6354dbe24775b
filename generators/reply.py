"""Reading one reply: JSON that obeys the request's schema, or the reason why not."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from generators.refusals import refuses
from schemas.ask import Reply

_FENCE: Final = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)


def read(reply: Reply, schema: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], str]:
    """A reply's value and what is wrong with it ("" when nothing is).

    Reasons: `teacher-refused`, `truncated`, `unparseable`, `off-schema`. Plain text comes as
    `{"text": ...}`.
    """
    if schema is None:
        text = reply.content.strip()
        return {"text": text}, "" if text else "unparseable"
    fenced = _FENCE.match(reply.content.strip())
    try:
        value = json.loads(fenced[1] if fenced else reply.content)
    except json.JSONDecodeError:
        if reply.finish_reason == "length":
            return {}, "truncated"
        return {}, "teacher-refused" if refuses(reply.content) else "unparseable"
    return (value, "") if _obeys(value, schema) else ({}, "off-schema")


def _obeys(value: object, schema: Mapping[str, Any]) -> bool:
    from jsonschema import Draft202012Validator

    validator: Any = Draft202012Validator(dict(schema))  # its stubs are partial
    return isinstance(value, dict) and bool(validator.is_valid(value))
