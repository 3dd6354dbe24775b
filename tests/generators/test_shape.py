"""A generator's shape is what its prompts must promise; it is the schema where a prompt gives none."""

import pytest

from generators import build
from generators.asking import Style, ask_with
from generators.base import AskOptions
from generators.prompt import load_prompt
from generators.shape import Shape, schema_of
from schemas.errors import ConfigError
from tests.generators.by_hand import LIVER, Teacher

PROMPT = """+++
purpose = "A test."
expects = []
{reply}
human = ["Look."]
+++
# user
Say.

# answer
{{{{ reply.caption }}}}{{{{ reply.extra }}}}
"""


class Captioned(Shape):
    """A test's reply."""

    caption: str
    sides: list[str] | str = ""
    note: str | None = None


def prompt_with(tmp_path, reply):
    path = tmp_path / "mine.md"
    path.write_text(PROMPT.format(reply=f"reply = '''{reply}'''" if reply else ""), encoding="utf-8")
    return str(path)


def test_a_prompt_without_a_reply_asks_for_the_shape(tmp_path):
    assert load_prompt(prompt_with(tmp_path, ""), Captioned).schema() == {
        "type": "object",
        "additionalProperties": False,
        "required": ["caption", "sides", "note"],
        "properties": {
            "caption": {"type": "string"},
            "sides": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]},
            "note": {"type": "string"},
        },
    }
    assert schema_of(Shape) is None


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ('{"type": "object", "required": ["captoin"], "properties": {"captoin": {}}}', r"mine\.md.*'caption'"),
        ('{"type": "object"}', r"mine\.md.*does not promise 'caption'"),
    ],
)
def test_a_prompt_that_lacks_a_field_is_an_error_when_the_generator_is_built(tmp_path, reply, message):
    with pytest.raises(ConfigError, match=message):
        build("caption", {"prompt": prompt_with(tmp_path, reply)}, 7, "x")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ('{"properties": {"caption": {"type": "string"}}}', 'add "caption" to "required"'),
        ('{"required": ["caption"], "properties": {"other": {"properties": {"caption": {}}}}}', "to its properties"),
        ('{"required": ["caption"], "properties": {"caption": {"type": "integer"}}}', "'integer'; it must be string"),
        ('["caption", {"caption": 1}]', "must be a JSON Schema, an object"),
        ('{"type": "objct", "properties": {"caption": {}}}', "not a JSON Schema"),
        ('{"$ref": "https://example.org/x", "properties": {"caption": {}}}', "not a JSON Schema"),
    ],
)
def test_a_schema_that_promises_less_than_the_shape_is_an_error_when_rendered(tmp_path, reply, message):
    prompt = load_prompt(prompt_with(tmp_path, reply), Captioned)
    with pytest.raises(ConfigError, match=message):
        prompt.schema()


async def test_a_prompts_own_fields_reach_its_answer_section(tmp_path):
    reply = '{"required": ["caption"], "properties": {"caption": {"type": "string"}, "extra": {}}}'
    prompt = load_prompt(prompt_with(tmp_path, reply), Captioned)
    ask = Teacher({"caption": "A liver", "extra": "!"})
    answer = await ask_with(ask, prompt, {}, LIVER, Style("generate", AskOptions(prompt="x"), 7))
    assert prompt.answer(answer.usable()) == "A liver!"


def test_the_same_schema_is_rendered_to_the_same_object_and_another_record_to_another():
    prompt = load_prompt("qa-yes-no")
    given = {"facts": (), "media": (), "target_key": "view", "target": "PA", "rivals": ("AP",)}
    yes, again, no = (prompt.schema(**given, wanted=wanted) for wanted in ("yes", "yes", "no"))
    assert yes is again and yes != no
