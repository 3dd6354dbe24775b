"""What each generator does that the others do not."""

import asyncio
from dataclasses import replace

import pytest

from generators import build
from generators.choices import choices_in
from generators.gates import Bounds, gates_of
from schemas.ask import Reply
from schemas.errors import GenerationError
from schemas.record import Facts
from tests.generators.by_hand import (
    BRAIN,
    CHAPTERS,
    ECHO,
    GOOD,
    LIVER,
    PNEUMONIA,
    REPORT,
    TALK,
    Teacher,
    texts,
)  # fmt: skip

RIGHT = {"reasoning": "Pneumonia affects the lung.", "answer": CHAPTERS[0]}
WRONG = {"reasoning": "Pneumonia affects the gut.", "answer": CHAPTERS[1]}


def reasons(name, record, conversation):
    verdicts = [gate(record, conversation) for gate in gates_of(name, Bounds(min_words=1))]
    return {verdict.reason for verdict in verdicts if not verdict.passed}


async def test_captioning_sends_the_frames_only_when_the_prompt_says_so():
    seeing, blind = Teacher(GOOD["caption"][1]), Teacher(GOOD["caption"][1])
    await build("caption", {}, 7, "x").generate(LIVER, seeing)
    await build("caption", {"prompt": "caption-brief"}, 7, "x").generate(LIVER, blind)
    assert [len(turn.frames) for turn in seeing.requests[0].turns] == [0, 1]
    assert not any(turn.frames for turn in blind.requests[0].turns)


async def test_a_long_annotation_keeps_its_sections_in_order():
    made = await build("long_annotation", {}, 7, "x").generate(BRAIN, Teacher(GOOD["long_annotation"][1]))
    text = texts(made)[0]
    heads = [text.index(f"**{head}.**") for head in ("Acquisition", "Anatomy", "Findings", "Impression")]
    assert heads == sorted(heads) and "- The left hippocampus measures 4.1 mL.\n- The right" in text
    assert made[0].messages[0].num_images == 4


async def test_a_report_without_pictures_is_part_of_the_human_turn():
    made = await build("long_annotation", {}, 7, "x").generate(REPORT, Teacher(GOOD["long_annotation"][1]))
    assert REPORT.facts.report in made[0].messages[0].text and made[0].task == "report-structuring"


async def test_the_verifier_never_sees_the_gold_answer_marked():
    ask = Teacher(RIGHT)
    await build("multilingual_reasoning", {}, 7, "x").generate(PNEUMONIA, ask)
    verify = next(request for request in ask.requests if request.role == "verify")
    said = "".join(turn.text for turn in verify.turns)
    assert said.count(CHAPTERS[0]) == 1 and PNEUMONIA.facts.question.explanation not in said


async def test_reasoning_is_resampled_until_the_verifier_reaches_the_gold():
    ask = Teacher(RIGHT, {"answer": CHAPTERS[2]}, WRONG, RIGHT, {"answer": CHAPTERS[0]})
    made = await build("multilingual_reasoning", {"attempts": 4}, 7, "x").generate(PNEUMONIA, ask)
    assert [request.attempt for request in ask.requests] == [0, 0, 1, 2, 2]
    assert made[0].pass_rate == pytest.approx(1 / 3)
    assert texts(made) == [f"<think>\n{RIGHT['reasoning']}\n</think>\n\nA. {CHAPTERS[0]}"]
    assert reasons("multilingual_reasoning", PNEUMONIA, made[0]) == set()


async def test_reasoning_that_never_reaches_the_gold_is_counted_and_refused():
    ask = Teacher(WRONG)
    made = await build("multilingual_reasoning", {"attempts": 3}, 7, "x").generate(PNEUMONIA, ask)
    assert len(ask.requests) == 3 and made[0].pass_rate == 0
    assert "gold-not-reached" in reasons("multilingual_reasoning", PNEUMONIA, made[0])


async def test_each_language_is_a_conversation_and_english_for_chinese_is_refused():
    said = {"reasoning": "Pneumonia is an infection of the lung, so it is one of the airways.", "answer": CHAPTERS[0]}
    generator = build("multilingual_reasoning", {"languages": ["en", "zh"]}, 7, "x")
    reached = {"answer": CHAPTERS[0]}
    english, chinese = await generator.generate(PNEUMONIA, Teacher(said, reached, said, reached))
    assert (english.language, chinese.language) == ("en", "zh")
    assert "Chinese" in chinese.messages[0].text
    assert reasons("multilingual_reasoning", PNEUMONIA, english) == set()
    assert reasons("multilingual_reasoning", PNEUMONIA, chinese) == {"wrong-script"}


async def test_languages_and_questions_are_asked_side_by_side_and_come_back_in_order():
    for name, options in (
        ("multilingual_reasoning", {"languages": ["en", "zh", "fr"], "attempts": 1}),
        ("synthetic_qa", {}),
    ):
        record, waiting, all_here = GOOD[name][0], [], asyncio.Event()

        async def ask(request, waiting=waiting, all_here=all_here):
            waiting.append(request)
            if len(waiting) == 3:
                all_here.set()
            await all_here.wait()
            return Reply("cut", "length")

        made = await asyncio.wait_for(build(name, options, 7, "x").generate(record, ask), 5)
        assert [conversation.asks[0][0] for conversation in made] == waiting[-3:]


async def test_a_request_says_in_what_language_its_reply_is_to_be():
    ask = Teacher(RIGHT, {"answer": CHAPTERS[0]}, GOOD["caption"][1])
    await build("multilingual_reasoning", {"languages": ["zh"]}, 7, "x").generate(PNEUMONIA, ask)
    await build("caption", {}, 7, "x").generate(LIVER, ask)
    assert [request.language for request in ask.requests] == ["zh", "zh", "en"]


async def test_an_uncut_clip_falls_into_equal_parts_with_the_records_times():
    made = await build("video_description", {}, 7, "x").generate(ECHO, Teacher(GOOD["video_description"][1]))
    assert "[0.0-0.2 s] The heart beats.\n[0.2-0.5 s]" in texts(made)[0]
    assert texts(made)[0].endswith("[0.8-1.0 s] The heart beats.")


async def test_a_video_reply_with_too_few_parts_is_off_schema():
    short = {"overview": "An ultrasound clip.", "events": ["The heart beats."]}
    with pytest.raises(GenerationError, match="off-schema"):
        await build("video_description", {}, 7, "x").generate(ECHO, Teacher(short))


async def test_the_blind_control_sees_neither_picture_nor_facts():
    ask = Teacher({"question": "What is marked?", "answer": "lesion"}, {"answer": "a cyst"})
    await build("synthetic_qa", {"kinds": ["open"], "questions": 1}, 7, "x").generate(LIVER, ask)
    asked, blind = ask.requests
    said = "".join(turn.text for turn in blind.turns)
    assert blind.role == "blind" and not any(turn.frames for turn in blind.turns)
    assert "abdomen" not in said and any(turn.frames for turn in asked.turns)


@pytest.mark.parametrize(("guess", "refused"), [("a lesion", True), ("a cyst", False)])
async def test_a_question_answered_blind_is_refused(guess, refused):
    ask = Teacher({"question": "What is marked in this picture?", "answer": "lesion"}, {"answer": guess})
    made = await build("synthetic_qa", {"kinds": ["open"], "questions": 1}, 7, "x").generate(LIVER, ask)
    assert ("answerable-blind" in reasons("synthetic_qa", LIVER, made[0])) is refused


async def test_without_blind_control_nothing_more_is_asked():
    ask = Teacher({"question": "What is marked?", "answer": "lesion"})
    options = {"kinds": ["open"], "questions": 1, "blind_control": False}
    generator = build("synthetic_qa", options, 7, "x")
    await generator.generate(LIVER, ask)
    assert len(ask.requests) == 1 and len(generator.prompts()) == 1


async def test_multiple_choice_letters_are_spread_over_records():
    ask = Teacher(GOOD["synthetic_qa"][1])
    generator = build("synthetic_qa", {"kinds": ["multiple_choice"], "questions": 1, "blind_control": False}, 7, "x")
    letters = [(await generator.generate(replace(LIVER, id=str(i)), ask))[0].messages[-1].text[0] for i in range(60)]
    assert set(letters) == set("ABCD") and max(map(letters.count, "ABCD")) < 30


async def test_multiple_choice_shows_gold_and_distractors_once_each():
    generator = build("synthetic_qa", {"kinds": ["multiple_choice"], "questions": 1, "blind_control": False}, 7, "x")
    made = await generator.generate(LIVER, Teacher(GOOD["synthetic_qa"][1]))
    assert sorted(choices_in(made[0].messages[0].text).values()) == ["cyst", "lesion", "stone", "vessel"]


async def test_verbatim_keeps_the_words_and_moves_the_pictures_to_the_first_human_turn():
    made = await build("verbatim", {}, 7, "x").generate(TALK, Teacher())
    assert [(m.role, m.text, m.num_images) for m in made[0].messages] == [
        ("user", "What organ is this?", 2),
        ("assistant", "This is the liver.", 0),
    ]
    assert made[0].asks == ()


@pytest.mark.parametrize("turns", [(("user", "Hi"),), (("narrator", "Once"), ("gpt", "Yes")), (("gpt", "Hello"),)])
async def test_verbatim_refuses_what_is_no_conversation(turns):
    record = replace(TALK, facts=Facts(conversation=turns))
    with pytest.raises(GenerationError, match="not-a-conversation"):
        await build("verbatim", {}, 7, "x").generate(record, Teacher())


async def test_a_truncated_reply_is_counted_as_such():
    async def ask(request):
        return Reply('{"caption": "This is', "length")

    with pytest.raises(GenerationError, match="truncated"):
        await build("caption", {}, 7, "x").generate(LIVER, ask)


async def test_fenced_json_is_read():
    made = await build("caption", {}, 7, "x").generate(LIVER, Teacher('```json\n{"caption": "A liver."}\n```'))
    assert texts(made) == ["A liver."]
