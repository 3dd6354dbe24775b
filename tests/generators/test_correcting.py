"""A reply that is wrong in form alone is asked for once more, and both replies are on record."""

import pytest

from generators import build
from generators.correcting import standing
from generators.gates import Bounds, gates_of
from schemas.ask import Reply, Request
from schemas.errors import GenerationError
from tests.generators.by_hand import CHAPTERS, GOOD, LIVER, PNEUMONIA, REFUSAL, Teacher

CAPTION = GOOD["caption"][1]


async def made_by(ask):
    return (await build("caption", {}, 7, "x").generate(LIVER, ask))[0]


async def test_a_broken_reply_is_shown_to_its_teacher_with_what_is_wrong():
    ask = Teacher({"caption": 3}, CAPTION)
    conversation = await made_by(ask)
    first, second = ask.requests
    assert second.turns[:-2] == first.turns and second.turns[-3].frames == LIVER.frames
    assert [(turn.role, turn.text) for turn in second.turns[-2:]] == [
        ("assistant", '{"caption": 3}'),
        (
            "user",
            'That reply cannot be used: /caption: the value is not of type "string". '
            "Reply again with the corrected JSON object alone, no other words.",
        ),
    ]
    assert [request.role for request, _ in conversation.asks] == ["generate", "generate-correct"]
    assert conversation.messages[-1].text == CAPTION["caption"]


async def test_a_correction_has_a_seed_of_its_own_and_else_the_same_terms():
    ask = Teacher("Well, a liver.", CAPTION)
    await made_by(ask)
    first, second = ask.requests
    assert first.sampling.seed != second.sampling.seed
    assert (first.schema, first.attempt, first.prompt_sha256) == (second.schema, second.attempt, second.prompt_sha256)


async def test_a_corrected_conversation_passes_the_gates_that_its_first_reply_would_fail():
    conversation = await made_by(Teacher("Well, a liver.", CAPTION))
    assert all(gate(LIVER, conversation).passed for gate in gates_of("caption", Bounds()))


async def test_what_is_still_wrong_after_one_correction_is_given_up_with_the_last_reply():
    ask = Teacher("Well, a liver.", {"other": 1}, CAPTION)
    with pytest.raises(GenerationError, match="off-schema") as caught:
        await made_by(ask)
    assert len(ask.requests) == 2 and "other" in caught.value.detail


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply('{"caption": "A li', "length"), "truncated"),
        (Reply(REFUSAL), "teacher-refused"),
        (Reply("a liver", problem="unclosed-thinking"), "unclosed-thinking"),
        (Reply("a liver", "content_filter"), "unparseable"),
        (Reply(" "), "unparseable"),
    ],
)
async def test_a_cut_refused_or_empty_reply_is_not_asked_for_again(reply, reason):
    asked = []

    async def ask(request):
        asked.append(request)
        return reply

    with pytest.raises(GenerationError, match=reason):
        await made_by(ask)
    assert len(asked) == 1


async def test_each_question_of_a_record_is_corrected_by_itself():
    ask = Teacher("no", {"question": "What?", "answer": "lesion"}, "no", {"answer": "a cyst"})
    made = await build("synthetic_qa", {"kinds": ["open"], "questions": 1}, 7, "x").generate(LIVER, ask)
    roles = [request.role for request, _ in made[0].asks]
    assert roles == ["generate", "generate-correct", "blind", "blind-correct"]


async def test_a_corrected_blind_guess_counts_as_the_guess():
    ask = Teacher({"question": "What is marked?", "answer": "lesion"}, "hm", {"answer": "a lesion"})
    made = await build("synthetic_qa", {"kinds": ["open"], "questions": 1}, 7, "x").generate(LIVER, ask)
    verdicts = [gate(LIVER, made[0]) for gate in gates_of("synthetic_qa", Bounds())]
    assert "answerable-blind" in {verdict.reason for verdict in verdicts}


async def test_a_corrected_attempt_is_one_attempt():
    said = {"reasoning": "Pneumonia affects the lung.", "answer": CHAPTERS[0]}
    ask = Teacher({"answer": CHAPTERS[0]}, said, {"answer": CHAPTERS[0]})
    made = await build("multilingual_reasoning", {}, 7, "x").generate(PNEUMONIA, ask)
    assert made[0].pass_rate == 1 and len(made[0].asks) == 3


def test_only_the_reply_that_was_corrected_stops_counting():
    roles = ("generate", "generate-correct", "verify", "blind", "blind", "blind-correct")
    asks = [(Request(role, ()), Reply(role)) for role in roles]
    assert [request.role for request, _ in standing(asks)] == ["generate-correct", "verify", "blind", "blind-correct"]
    assert standing(()) == ()
