"""Prompts are files: all of them render, what is missing is named, and every byte counts."""

import json

import pytest

from generators import GENERATORS, build
from generators.asking import common
from generators.prompt import FOLDER, load_prompt, names
from generators.shape import Shape
from schemas.ask import Turn
from schemas.errors import ConfigError
from schemas.record import Segment
from tests.generators.by_hand import BRAIN, LIVER, REPORT

GIVEN = {
    **common(LIVER),
    "segments": (Segment(0, 1, "start"), Segment(1, 2)),
    "times": (0.0, 1.0),
    "seconds": 2.0,
    "question": "Which?",
    "options": ("a", "b"),
    "choices": "A. a\nB. b",
    "gold": "a",
    "letter": "A",
    "explanation": "because",
    "language": "English",
    "language_code": "en",
    "reasoning": "Since it is so.",
    "target_key": "body part",
    "target": "abdomen (upper)",
    "rivals": ("chest", "head", "knee", "leg"),
    "wanted": "no",
    "answer_type": "open",
    "human": "What?",
    "assistant": "That.",
}
"""Every variable that a generator or a gate offers."""

SMALL = """+++
purpose = "A test."
expects = ["facts"]
reply = '{"type": "object"}'
human = ["Say {{ facts[0] }}."]
+++
# system
Be brief.

# user
Facts:
{% for line in facts %}
- {{ line }}
{% endfor %}

# answer
{{ reply.text }}
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.md"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", names())
def test_a_shipped_prompt_renders_with_exactly_the_variables_it_declares(name):
    prompt = load_prompt(name)
    declared = {key: GIVEN[key] for key in prompt.header.expects}
    turns = prompt.render(**declared)
    assert turns[-1].role == "user" and all(turn.text for turn in turns)
    assert not any("{{" in turn.text or "{%" in turn.text for turn in turns)
    schema = prompt.schema(**declared)
    assert schema and schema["type"] == "object"


@pytest.mark.parametrize("name", names())
def test_a_shipped_prompt_uses_every_variable_it_declares(name):
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition("reply = ")[2]
    assert [key for key in load_prompt(name).header.expects if key not in text] == []


@pytest.mark.parametrize("name", names())
def test_a_declared_variable_that_is_not_given_is_an_error_with_file_and_name(name):
    prompt = load_prompt(name)
    missing, *rest = prompt.header.expects
    with pytest.raises(ConfigError, match=rf"{name}\.md.*{missing}"):
        prompt.render(**{key: GIVEN[key] for key in rest})


def test_an_undefined_variable_is_an_error_with_file_variable_and_line(small):
    small.write_text(SMALL.replace("- {{ line }}", "- {{ lime }}"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"small\.md, line 13: 'lime' is undefined"):
        load_prompt(str(small)).render(facts=("a",))


def test_a_variable_that_is_given_but_not_declared_stays_undefined(small):
    small.write_text(SMALL.replace("Be brief.", "Be {{ mood }}."), encoding="utf-8")
    with pytest.raises(ConfigError, match="line 8: 'mood' is undefined"):
        load_prompt(str(small)).render(facts=("a",), mood="brief")


def test_a_template_mistake_is_an_error_with_its_line(small):
    small.write_text(SMALL.replace("{% endfor %}", "{% endif %}"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"small\.md, line 14: "):
        load_prompt(str(small)).render(facts=("a",))


def test_sections_become_turns_in_order_and_the_answer_is_none(small):
    prompt = load_prompt(str(small))
    assert prompt.render(facts=("a < b", "c")) == (Turn("system", "Be brief."), Turn("user", "Facts:\n- a < b\n- c"))
    assert prompt.answer(Shape(text=" done "), facts=()) == "done"
    assert prompt.human(3, facts=("hi",)) == "Say hi."


def test_the_hash_changes_with_any_byte_and_only_then(small):
    first = load_prompt(str(small)).sha256
    assert load_prompt(str(small)).sha256 == first
    small.write_text(SMALL + "\n", encoding="utf-8")
    assert load_prompt(str(small)).sha256 != first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("+++\npurpose", "purpose", "opens with a TOML header"),
        ("purpose =", "purpse =", "unknown key 'purpse': did you mean 'purpose'"),
        ('"A test."', "A test", "not valid TOML"),
        ("# user", "# human", "line 10: unknown section 'human'"),
        ("# user\n", "user\n", "no '# user' section"),
    ],
)
def test_a_malformed_prompt_file_is_an_error_that_says_where(small, old, new, message):
    small.write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_prompt(str(small))


def test_an_unknown_prompt_name_is_an_error_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'caption'"):
        load_prompt("captio")


def test_a_missing_prompt_file_is_an_error_with_its_path(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.md: cannot read this prompt file"):
        load_prompt(str(tmp_path / "gone.md"))


def test_a_reply_shape_that_is_not_json_once_rendered_is_an_error(small):
    small.write_text(SMALL.replace('{"type": "object"}', '{"type": {{ facts }}'), encoding="utf-8")
    with pytest.raises(ConfigError, match="not JSON once rendered"):
        load_prompt(str(small)).schema(facts=("a",))


def test_a_literal_in_a_pattern_matches_itself_alone(small):
    small.write_text(SMALL.replace('{"type": "object"}', '{"pattern": "^{{ facts[0] | literal }}$"}'), encoding="utf-8")
    import re

    pattern = load_prompt(str(small)).schema(facts=('a (b) + "c"?',))["pattern"]
    assert re.fullmatch(pattern, 'a (b) + "c"?') and not re.fullmatch(pattern, 'a b + "c"?')


@pytest.mark.parametrize("name", sorted(set(GENERATORS) - {"synthetic_qa", "verbatim"}))
async def test_any_generator_takes_a_prompt_by_its_path(name, tmp_path):
    prompt = build(name, {}, 7, "x").prompts()[0]
    copy = tmp_path / "mine.md"
    copy.write_bytes((FOLDER / f"{prompt.name}.md").read_bytes() + b"\n")
    mine = build(name, {"prompt": str(copy)}, 7, "x").prompts()[0]
    assert mine.path == str(copy) and mine.sha256 != prompt.sha256


@pytest.mark.parametrize("record", [LIVER, BRAIN, REPORT])
def test_prompts_for_teachers_that_see_nothing_say_so_and_send_no_frames(record):
    for name in names():
        prompt = load_prompt(name)
        if "brief" in name and "verify" not in name and "reasoning" not in name:
            said = prompt.render(**{**GIVEN, **common(record)})[0].text
            assert not prompt.header.frames and ", not " in said


def test_schemas_of_every_prompt_are_plain_json(small):
    for name in names():
        prompt = load_prompt(name)
        schema = prompt.schema(**{key: GIVEN[key] for key in prompt.header.expects})
        assert json.loads(json.dumps(schema)) == schema
