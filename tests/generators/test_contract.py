"""Every generator keeps the contract: checked options, known prompts; good, broken and refusing replies."""

import inspect
import subprocess
import sys
from dataclasses import replace

import pytest

from generators import DEFAULT_GENERATOR, GENERATORS, build
from generators.gates import Bounds, gates_of
from schemas.errors import ConfigError, GenerationError
from schemas.pipeline import FLOWS
from tests.generators.by_hand import GOOD, REFUSAL, REPORT, Teacher, texts

ASKING = sorted(set(GENERATORS) - {"verbatim"})


def refused_by(name, record, conversation):
    verdicts = [gate(record, conversation) for gate in gates_of(name, Bounds(min_words=1))]
    return {verdict.gate: verdict.reason for verdict in verdicts if not verdict.passed}


def test_every_flow_has_a_generator():
    assert set(DEFAULT_GENERATOR) == set(FLOWS)
    assert set(DEFAULT_GENERATOR.values()) <= set(GENERATORS)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_is_known_by_its_name_and_documents_itself(name):
    kind = GENERATORS[name]
    assert kind.name == name and kind.version >= 1 and inspect.getdoc(kind)


@pytest.mark.parametrize("name", GENERATORS)
def test_an_unknown_option_is_an_error_that_names_it(name):
    with pytest.raises(ConfigError, match="tempratur"):
        build(name, {"tempratur": 1}, 7, "[flows.x.options]")


def test_an_unknown_generator_is_an_error_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"\[flows.x\].*'captoin'.*did you mean 'caption'"):
        build("captoin", {}, 7, "[flows.x]")


@pytest.mark.parametrize("name", ASKING)
def test_an_unknown_prompt_is_an_error_when_the_generator_is_built(name):
    with pytest.raises(ConfigError, match="no-such-prompt"):
        build(name, {"prompt": "no-such-prompt"}, 7, "[flows.x.options]")


@pytest.mark.parametrize("name", GENERATORS)
async def test_a_good_reply_becomes_a_conversation_that_shows_every_frame_and_ends_with_the_assistant(name):
    record, reply = GOOD[name]
    generator, ask = build(name, {}, 7, "x"), Teacher(reply)
    assert generator.accepts(record)
    made = await generator.generate(record, ask)
    assert made
    for conversation in made:
        assert conversation.messages[-1].role == "assistant"
        assert sum(message.num_images for message in conversation.messages) == len(record.frames)
        assert all(request in ask.requests for request, _ in conversation.asks)
        assert conversation.asks or name == "verbatim"


@pytest.mark.parametrize("name", ASKING)
async def test_every_request_names_a_prompt_of_the_generator_and_has_a_seed(name):
    record, reply = GOOD[name]
    generator, ask = build(name, {}, 7, "x"), Teacher(reply)
    await generator.generate(record, ask)
    known = {prompt.sha256 for prompt in generator.prompts()}
    assert ask.requests and all(request.prompt_sha256 in known for request in ask.requests)
    assert all(request.sampling.seed is not None for request in ask.requests)


@pytest.mark.parametrize("name", GENERATORS)
async def test_the_same_seed_makes_the_same_conversations_and_requests(name):
    record, reply = GOOD[name]
    one, two = Teacher(reply), Teacher(reply)
    assert await build(name, {}, 7, "x").generate(record, one) == await build(name, {}, 7, "x").generate(record, two)
    assert one.requests == two.requests


@pytest.mark.parametrize("name", ASKING)
async def test_another_seed_asks_with_another_seed(name):
    record, reply = GOOD[name]
    one, two = Teacher(reply), Teacher(reply)
    await build(name, {}, 7, "x").generate(record, one)
    await build(name, {}, 8, "x").generate(record, two)
    assert one.requests[0].sampling.seed != two.requests[0].sampling.seed


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [("{'not': json", "unparseable"), (REFUSAL, "teacher-refused"), ({"other": 1}, "off-schema"), ("[]", "off-schema")],
)
async def test_a_broken_reply_is_never_a_sample(name, reply, reason):
    record, _ = GOOD[name]
    try:
        made = await build(name, {}, 7, "x").generate(record, Teacher(reply))
    except GenerationError as error:
        assert error.reason == reason
    else:
        assert made and all(refused_by(name, record, one)["structural"] == reason for one in made)


async def test_a_refusal_in_the_right_form_is_refused_by_a_gate():
    record, _ = GOOD["caption"]
    made = await build("caption", {}, 7, "x").generate(record, Teacher({"caption": REFUSAL}))
    assert refused_by("caption", record, made[0])["refusal"] == "refusal"


@pytest.mark.parametrize("name", ["caption", "video_description"])
def test_a_record_without_what_is_needed_is_not_accepted(name):
    assert not build(name, {}, 7, "x").accepts(REPORT)


async def test_the_human_turn_varies_between_records():
    record, reply = GOOD["caption"]
    generator = build("caption", {}, 7, "x")
    turns = set()
    for number in range(30):
        made = await generator.generate(replace(record, id=str(number)), Teacher(reply))
        turns.add(made[0].messages[0].text)
    assert turns == set(generator.prompts()[0].header.human)


async def test_a_good_caption_passes_every_gate():
    record, reply = GOOD["caption"]
    made = await build("caption", {}, 7, "x").generate(record, Teacher(reply))
    assert texts(made) == [reply["caption"]]
    assert refused_by("caption", record, made[0]) == {}


def test_listing_the_generators_imports_no_template_library_and_no_detector():
    heavy = "('jinja2', 'langdetect', 'jsonschema_rs', 'json_repair', 'numpy', 'pyarrow')"
    code = f"import sys, generators, generators.gates; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
