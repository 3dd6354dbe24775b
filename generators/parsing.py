"""A JSON object out of a teacher's words: as it stands, or as it was meant where nothing is lost or made up."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

_STRING: Final = re.compile(r'"[^"]*"')
_ESCAPE: Final = re.compile(r"\\.", re.DOTALL)
_WORD: Final = re.compile(r"\w+")


def strictly(text: str) -> object:
    """The JSON value that `text` is; ValueError when it is none."""
    return orjson.loads(text)


def tolerantly(text: str) -> Mapping[str, Any] | None:
    """The one object in `text` without fences, talk around it and slips of syntax; None when it is not sure.

    An object that is not closed is never closed here, and a repair that would drop or add a word is refused.
    """
    found = text[text.find("{") : text.rfind("}") + 1]
    if not found or not _closed(found):
        return None
    try:
        value = orjson.loads(found)
    except orjson.JSONDecodeError:
        value = _repaired(found)
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else None


def _repaired(found: str) -> object:
    from json_repair import repair_json

    try:
        value: Any = repair_json(found, return_objects=True, skip_json_loads=True, strict=True)
        same = _words(found) == _words(orjson.dumps(value).decode())
    except (ValueError, TypeError, RecursionError):  # TypeError: orjson refuses lone surrogates
        return None
    return value if same else None


def _closed(found: str) -> bool:
    """Whether every quote has its partner, and every brace and bracket outside of strings."""
    plain = _ESCAPE.sub("", found)
    bare = _STRING.sub("", plain)
    pairs = all(bare.count(opening) == bare.count(closing) for opening, closing in ("{}", "[]", "“”"))
    return pairs and plain.count('"') % 2 == 0 and bare.count("'") % 2 == 0


def _words(text: str) -> list[str]:
    return _WORD.findall(_ESCAPE.sub(" ", text).casefold())
