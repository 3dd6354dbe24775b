"""A teacher whose server enforces no schema is told the schema."""

import json

from teachers.wire.structured import instruction


def test_the_instruction_ends_with_the_schema_as_it_is():
    schema = {"type": "object", "properties": {"answer": {"enum": ["Lunge", "Füße"]}}}
    sentence, _, said = instruction(schema).partition("\n")
    assert json.loads(said) == schema and "Füße" in said
    assert "JSON" in sentence and instruction(schema) == instruction(dict(schema))
