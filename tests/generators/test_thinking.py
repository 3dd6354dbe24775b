"""Whose thinking is in a `<think>` sample, and which teachers may give it."""

import json

import pytest

from generators import build
from generators.gates import Bounds, gates_of
from generators.thinking import check_thinking
from schemas.ask import Reply
from schemas.errors import ConfigError
from schemas.pipeline import Pipeline
from tests.generators.by_hand import CHAPTERS, PNEUMONIA, texts

THOUGHT = "Pneumonia is an infection of the lungs, so it belongs to the respiratory system."


class Thinker:
    """A teacher that thinks beside its reply; the verifier reaches the gold."""

    def __init__(self, thought, answer=CHAPTERS[0]):
        self.thought, self.answer, self.requests = thought, answer, []

    async def __call__(self, request):
        self.requests.append(request)
        answer = CHAPTERS[0] if request.role == "verify" else self.answer
        thought = "" if request.role == "verify" else self.thought
        return Reply(json.dumps({"answer": answer}), reasoning=thought)


def native(**options):
    return build("multilingual_reasoning", {"think": "native", **options}, 7, "x")


def reasons(conversation):
    verdicts = [gate(PNEUMONIA, conversation) for gate in gates_of("multilingual_reasoning", Bounds(min_words=1))]
    return {verdict.reason for verdict in verdicts if not verdict.passed}


async def test_what_the_model_thought_becomes_the_think_text():
    made = await native().generate(PNEUMONIA, Thinker(f"\n{THOUGHT}\n"))
    assert texts(made) == [f"<think>\n{THOUGHT}\n</think>\n\nA. {CHAPTERS[0]}"]
    assert reasons(made[0]) == set() and made[0].pass_rate == 1


async def test_a_model_that_thinks_by_itself_is_not_told_the_gold_answer():
    ask = Thinker(THOUGHT)
    await native().generate(PNEUMONIA, ask)
    said = "".join(turn.text for turn in ask.requests[0].turns)
    assert said.count(CHAPTERS[0]) == 1 and said.count(CHAPTERS[1]) == 1  # among the options alone
    assert PNEUMONIA.facts.question.explanation not in said


async def test_the_verifier_reads_what_was_thought():
    ask = Thinker(THOUGHT)
    await native().generate(PNEUMONIA, ask)
    assert THOUGHT in ask.requests[1].turns[-1].text


async def test_no_thinking_is_tried_again_and_then_refused_by_that_name():
    ask = Thinker(" ")
    made = await native(attempts=2).generate(PNEUMONIA, ask)
    assert [request.attempt for request in ask.requests] == [0, 1]
    assert "no-thinking" in reasons(made[0]) and made[0].pass_rate == 0


async def test_native_thinking_that_misses_the_gold_is_resampled():
    ask = Thinker(THOUGHT, CHAPTERS[1])
    made = await native(attempts=3).generate(PNEUMONIA, ask)
    assert len(ask.requests) == 3 and "gold-not-reached" in reasons(made[0])


def test_native_thinking_has_a_prompt_of_its_own_unless_one_is_named():
    assert native().prompts()[0].name == "reasoning-native"
    assert native(prompt="reasoning").prompts()[0].name == "reasoning"
    assert build("multilingual_reasoning", {}, 7, "x").prompts()[0].name == "reasoning"


def test_options_survive_a_recipe():
    options = native().options
    assert type(options).model_validate(options.model_dump(mode="json")) == options


def pipeline(**reasoning):
    return Pipeline.model_validate(
        {
            "teachers": {
                name: {"model": name, "reasoning": mode, "fallback": ["b"] if name == "a" and "b" in reasoning else []}
                for name, mode in reasoning.items()
            },
            "flows": {},
        }
    )


@pytest.mark.parametrize("mode", ["field", "tags", "none"])
def test_a_teacher_that_shows_its_reasoning_or_has_none_may_write_think_text(mode):
    check_thinking(build("multilingual_reasoning", {}, 7, "x"), pipeline(a=mode), "a", "[flows.x]")


@pytest.mark.parametrize(("think", "mode"), [("written", "hidden"), ("native", "hidden"), ("native", "none")])
def test_a_teacher_that_hides_or_lacks_what_is_needed_is_refused_with_the_way_out(think, mode):
    generator = build("multilingual_reasoning", {"think": think}, 7, "x")
    with pytest.raises(ConfigError, match=rf"\[flows.x\].*'a' has reasoning = \"{mode}\".*\"field\" or"):
        check_thinking(generator, pipeline(a=mode), "a", "[flows.x]")


def test_a_fallback_that_hides_its_reasoning_is_refused_too():
    with pytest.raises(ConfigError, match="teacher 'b' has reasoning"):
        check_thinking(build("multilingual_reasoning", {}, 7, "x"), pipeline(a="field", b="hidden"), "a", "[flows.x]")


@pytest.mark.parametrize("name", ["caption", "synthetic_qa", "verbatim", "video_description", "long_annotation"])
def test_flows_without_think_text_may_ask_any_teacher(name):
    check_thinking(build(name, {}, 7, "x"), pipeline(a="hidden"), "a", "[flows.x]")
