"""Reading one reply: JSON that obeys the request's schema, or the reason why not."""

from collections.abc import Mapping
from typing import Any, Final, cast

from generators.checking import disobedience, obeys
from generators.parsing import strictly, tolerantly
from generators.refusals import refuses
from schemas.ask import Reply

FORM: Final = frozenset({"unparseable", "off-schema"})
"""Problems of form: a teacher that is told what is wrong may set them right."""


def read(reply: Reply, schema: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], str]:
    """A reply's value and what is wrong with it ("" when nothing is).

    Reasons: the reply's own `problem`, `teacher-refused`, `truncated`, `unparseable`, `off-schema`.
    Plain text comes as `{"text": ...}`.
    """
    if reply.problem:
        return {}, reply.problem
    if schema is None:
        text = reply.content.strip()
        return {"text": text}, "" if text else "unparseable"
    value, problem = _parsed(reply)
    if problem:
        return {}, problem
    return (cast(Mapping[str, Any], value), "") if obeys(value, schema) else ({}, "off-schema")


def complaint(reply: Reply, schema: Mapping[str, Any] | None) -> str:
    """What is wrong with a reply's form, in words for its teacher; "" when nothing is."""
    value, problem = _parsed(reply)
    if problem:
        return "it is not one JSON object"
    return disobedience(value, schema) if schema is not None else ""


def _parsed(reply: Reply) -> tuple[object, str]:
    try:
        return strictly(reply.content), ""
    except ValueError:
        pass
    if reply.finish_reason == "length":
        return None, "truncated"
    value = tolerantly(reply.content)
    if value is not None:
        return value, ""
    return None, "teacher-refused" if refuses(reply.content) else "unparseable"
