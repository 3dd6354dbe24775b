"""What a teacher whose server enforces no schema is told about the form of its reply."""

from collections.abc import Mapping
from typing import Any

import orjson


def instruction(schema: Mapping[str, Any]) -> str:
    """The sentence, with the schema, that ends the last user turn when `structured = "prompt"`."""
    return (
        "Reply with one JSON object that obeys this JSON Schema, and with nothing before or after it:\n"
        + orjson.dumps(schema).decode()
    )
