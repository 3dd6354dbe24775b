"""A reply is read as it stands or as it was plainly meant; nothing is closed, added or dropped for it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.parsing import tolerantly
from generators.reply import complaint, read
from schemas.ask import Reply

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["caption"],
    "properties": {"caption": {"type": "string", "maxLength": 20}, "sides": {"type": "array"}},
}
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="{}"), max_size=30)
TEXTS = st.one_of(st.text(max_size=12), st.text("{}[]\"'\\,: a", max_size=12))
VALUES = st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(-9, 9), st.lists(TEXTS, max_size=3)))


@pytest.mark.parametrize(
    "text",
    [
        '{"caption": "A liver."}',
        '\n {"caption": "A liver."}\n',
        '```json\n{"caption": "A liver."}\n```',
        'Sure, here it is:\n```\n{"caption": "A liver."}\n```\nI hope it helps!',
        '{"caption": "A liver.",}',
        "{'caption': 'A liver.'}",
        '{caption: "A liver."}',
        "{“caption”: “A liver.”}",
    ],
)
def test_one_object_is_read_through_fences_talk_and_slips_of_syntax(text):
    assert read(Reply(text), SCHEMA) == ({"caption": "A liver."}, "")


def test_a_raw_line_break_and_quotes_within_a_string_are_read():
    assert read(Reply('{"caption": "a\nb"}'), SCHEMA)[0] == {"caption": "a\nb"}
    assert read(Reply('{"caption": "the "CT" scan"}'), SCHEMA)[0] == {"caption": 'the "CT" scan'}


@pytest.mark.parametrize(
    "text",
    [
        '{"caption": "A liver.", "sides": ["left"',
        '{"caption": "A liver.", "sides": ["left"}',
        '{"caption": {"a": "b"}',
        '{"caption": "A liver." "and a kidney"}',
        '{"caption": "A liver." // or a kidney\n}',
        '{"caption": "A liver.", "sides": }',
        '{"caption": "A liver."} or {"caption": "A kidney."}',
        '{"caption": "A liver}',
        "{'caption': 'A liver}",
        '{"caption": "}',
        '{"caption": "\\ud800"}',
        "a liver",
        "",
    ],
)
def test_what_is_not_sure_is_unparseable(text):
    assert read(Reply(text), SCHEMA) == ({}, "unparseable")


@given(VALUES, st.data())
def test_an_object_that_is_cut_anywhere_is_never_closed(value, data):
    whole = json.dumps(value, ensure_ascii=False)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert tolerantly(cut) is None
    assert read(Reply(cut, "length"), SCHEMA) == ({}, "truncated")


@given(VALUES, WORDS, WORDS)
def test_talk_around_an_object_changes_nothing_in_it(value, before, after):
    assert tolerantly(before + json.dumps(value) + after) == value


def test_a_cut_reply_is_truncated_even_where_talk_follows_a_whole_object():
    assert read(Reply('Here: {"caption": "A liver."} And now I will', "length"), SCHEMA)[1] == "truncated"


def test_the_replys_own_problem_comes_first():
    assert read(Reply('{"caption": "A liver."}', problem="unclosed-thinking"), SCHEMA) == ({}, "unclosed-thinking")
    assert read(Reply("words", problem="no-content"), None) == ({}, "no-content")


def test_a_deeply_nested_reply_is_unparseable_and_no_crash():
    assert read(Reply('{"a": ' * 5_000 + "1" + "}" * 5_000), SCHEMA)[1] == "unparseable"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a liver", "it is not one JSON object"),
        ("[]", "not of type"),
        ("{}", '"caption" is a required property'),
        ('{"caption": "this sentence has more than twenty"}', "/caption: the value is longer than 20 characters"),
        ('{"caption": "x", "more": 1}', "'more' was unexpected"),
        ('{"caption": "x"}', ""),
    ],
)
def test_a_complaint_says_what_is_wrong_without_repeating_the_reply(text, words):
    said = complaint(Reply(text), SCHEMA)
    assert words in said and "this sentence" not in said and bool(said) == bool(words)
