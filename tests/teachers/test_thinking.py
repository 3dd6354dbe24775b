"""Thinking and answer are told apart as the teacher declares, and what is no answer has a name."""

import pytest

from teachers.wire.thinking import split

ANSWER = '{"answer": "lung"}'


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thinking_beside_the_content_is_read_from_either_field(field):
    message = {"role": "assistant", "content": f"\n\n{ANSWER}", field: "It is the lung.", "tool_calls": []}
    assert split(message, "stop", "field") == ("It is the lung.", f"\n\n{ANSWER}", "")


def test_the_newer_field_is_read_first_and_an_empty_one_is_passed_over():
    both = {"content": ANSWER, "reasoning": "new", "reasoning_content": "old"}
    assert split(both, "stop", "field")[0] == "new"
    assert split({**both, "reasoning": None}, "stop", "field")[0] == "old"


@pytest.mark.parametrize(
    "content",
    [
        f"<think>\nIt is the lung.\n</think>\n\n{ANSWER}",
        f"\n<think>It is the lung.</think>{ANSWER}",
        f"It is the lung.\n</think>\n\n{ANSWER}",  # the chat template wrote the first tag
    ],
)
def test_thinking_between_tags_is_taken_out(content):
    assert split({"content": content}, "stop", "tags") == ("It is the lung.", ANSWER, "")


@pytest.mark.parametrize("content", [ANSWER, '{"answer": "ends with </think>"}', '```json\n{"a": 1}\n```', "The lung."])
def test_a_reply_without_thinking_stays_as_it_is(content):
    assert split({"content": content}, "stop", "tags") == ("", content, "")


def test_tags_are_taken_out_where_a_server_should_have_done_it_and_did_not():
    message = {"content": f"<think>Hm.</think>{ANSWER}", "reasoning_content": None}
    assert split(message, "stop", "field") == ("Hm.", ANSWER, "")


@pytest.mark.parametrize(
    ("message", "finish", "mode", "expected"),
    [
        ({"content": "<think>It is the"}, "stop", "tags", ("It is the", "", "unclosed-thinking")),
        ({"content": "<think>It is the"}, "length", "tags", ("It is the", "", "cut-off-thinking")),
        ({"content": "It is the"}, "length", "tags", ("It is the", "", "cut-off-thinking")),
        ({"content": None, "reasoning": "It is the"}, "length", "field", ("It is the", None, "cut-off-thinking")),
        ({"content": "", "reasoning_content": "It is."}, "stop", "field", ("It is.", "", "no-content")),
        ({"content": "<think>It is.</think>\n"}, "stop", "tags", ("It is.", "", "no-content")),
        ({"content": "<think>It is.</think>\n"}, "length", "tags", ("It is.", "", "no-content")),
        ({"content": ""}, "length", "hidden", ("", "", "cut-off-thinking")),
        ({"content": ""}, "stop", "hidden", ("", "", "no-content")),
        ({"content": None}, "stop", "none", ("", None, "no-content")),
        ({}, "length", "none", ("", None, "no-content")),
        ({"content": " \n"}, "stop", "field", ("", " \n", "no-content")),
    ],
)
def test_a_completion_without_an_answer_has_a_problem_by_name(message, finish, mode, expected):
    reasoning, content, problem = expected
    assert split(message, finish, mode) == (reasoning, content or "", problem)


@pytest.mark.parametrize("mode", ["none", "hidden"])
def test_a_teacher_that_shows_no_thinking_has_its_content_taken_as_it_is(mode):
    message = {"content": "<think>a</think> b", "reasoning": "c"}
    assert split(message, "stop", mode) == ("", "<think>a</think> b", "")


def test_an_answer_that_is_cut_is_left_to_who_reads_it():
    assert split({"content": '<think>It is.</think>{"answ'}, "length", "tags") == ("It is.", '{"answ', "")
    assert split({"content": '{"answ'}, "length", "tags") == ("", '{"answ', "")
    assert split({"content": '{"answ', "reasoning": "It is."}, "length", "field") == ("It is.", '{"answ', "")


@pytest.mark.parametrize("mode", ["field", "tags", "hidden", "none"])
def test_a_refusal_in_a_field_of_its_own_is_kept_and_named(mode):
    message = {"content": None, "refusal": "I can't help with that."}
    assert split(message, "stop", mode) == ("", "I can't help with that.", "teacher-refused")
