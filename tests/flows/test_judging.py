"""One record through generator and gates: nothing lost, nothing forged."""

from typing import Any

import pytest

from flows.judging import Bench, make_samples
from flows.stamping import Stamp
from schemas.ask import Ask, Reply, Request, Turn
from schemas.conversation import Conversation, Gate, Message, Verdict
from schemas.errors import GenerationError, TeacherError
from schemas.license import License
from schemas.record import Facts, Record, Scope, SourceTerms, Tags
from schemas.taxonomy import OrganSystem

TERMS = SourceTerms(License("CC-BY-4.0", commercial=True, derivatives=True))
RECORD = Record("r1", "source", "1", "patient-1", TERMS, facts=Facts(report="A nodule."))
TAGS = Tags(None, OrganSystem.RESPIRATORY, Scope.ORGAN)
SHARE_ALIKE = License("CC-BY-SA-4.0", True, True, True)
STAMP = Stamp("long-annotation", "echo@1", "production", {"": SHARE_ALIKE})


class Echo:
    """A generator that asks `num` questions and makes a conversation of each."""

    name, version, Options = "echo", 1, object

    def __init__(self, num: int = 1, forge: bool = False, refuse: str = "") -> None:
        self.num, self.forge, self.refuse = num, forge, refuse

    def prompts(self) -> tuple[Any, ...]:
        return ()

    def num_asks(self) -> int:
        return self.num

    def accepts(self, record: Record) -> bool:
        return bool(record.facts.report)

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        made: list[Conversation] = []
        for number in range(self.num):
            request = Request("generate", (Turn("user", f"{number}"),))
            reply = await ask(request)
            if self.refuse:
                raise GenerationError(self.refuse, "no use")
            cited = Reply("invented", key="never-given") if self.forge else reply
            messages = (Message("user", "?"), Message("assistant", reply.content))
            made.append(Conversation(messages, "report", ((request, cited),)))
        return made


async def ask(request: Request) -> Reply:
    return Reply(
        f"reply {request.turns[0].text}", key=f"key-{request.turns[0].text}", prompt_tokens=3, completion_tokens=2
    )


def _bench(generator: Echo, *gates: Gate) -> Bench:
    return Bench(generator, gates, (), STAMP)  # type: ignore[arg-type]


def refuses_the_first(record: Record, conversation: Conversation) -> Verdict:
    bad = conversation.messages[-1].text.endswith("0")
    return Verdict("picky", not bad, "too-first" if bad else "", "it ends with 0")


async def test_what_a_gate_refuses_is_kept_with_its_text_and_replies() -> None:
    outcome = await make_samples(_bench(Echo(3), refuses_the_first), RECORD, TAGS, ask, None)
    assert [sample.id for sample in outcome.samples] == ["long-annotation/source/r1#1", "long-annotation/source/r1#2"]
    (reject,) = outcome.rejects
    assert (reject.stage, reject.reason, reject.detail) == ("gate", "too-first", "it ends with 0")
    assert "reply 0" in reject.text and reject.reply_keys == ("key-0",)
    tally = outcome.tally
    assert (tally.num_in, tally.num_generated, tally.num_kept, tally.rejected) == (1, 3, 2, {"too-first": 1})
    assert (tally.prompt_tokens, tally.completion_tokens) == (9, 6)


async def test_an_unusable_reply_is_a_reject_and_not_a_row() -> None:
    outcome = await make_samples(_bench(Echo(refuse="unparseable")), RECORD, TAGS, ask, None)
    assert outcome.samples == []
    assert (outcome.rejects[0].stage, outcome.rejects[0].reason) == ("generate", "unparseable")
    assert outcome.rejects[0].text == "reply 0"


async def test_a_record_that_the_generator_does_not_take_is_counted() -> None:
    empty = Record("r2", "source", "1", "p", TERMS)
    outcome = await make_samples(_bench(Echo()), empty, TAGS, ask, None)
    assert [reject.reason for reject in outcome.rejects] == ["not-accepted"]
    assert outcome.tally.num_in == 1


async def test_a_generator_cannot_cite_a_reply_that_it_never_got() -> None:
    with pytest.raises(AssertionError, match="never got"):
        await make_samples(_bench(Echo(forge=True)), RECORD, TAGS, ask, None)


async def test_a_teacher_that_answers_none_stops_the_record() -> None:
    async def down(request: Request) -> Reply:
        raise TeacherError("the endpoint is down")

    with pytest.raises(TeacherError):
        await make_samples(_bench(Echo()), RECORD, TAGS, down, None)


async def test_a_row_s_licence_is_the_stricter_of_source_and_teacher() -> None:
    outcome = await make_samples(_bench(Echo()), RECORD, TAGS, ask, None)
    (sample,) = outcome.samples
    assert sample.license == "CC-BY-4.0 AND CC-BY-SA-4.0"
    assert sample.license_class == "share-alike"
    assert sample.asks[0]["reply_key"] == "key-0"
    assert sample.organ_system == "Respiratory" and sample.modality is None


@pytest.mark.parametrize(
    ("writer", "license", "grade"),
    [("first", "CC-BY-4.0 AND Apache-2.0", "production"), ("second", "CC-BY-4.0 AND CC-BY-SA-4.0", "demo")],
)
async def test_a_row_has_the_terms_and_the_grade_of_whoever_really_wrote_it(
    writer: str, license: str, grade: str
) -> None:
    async def answers(request: Request) -> Reply:
        return Reply("A nodule.", key="key", teacher=writer)

    licenses = {"first": License("Apache-2.0", True, derivatives=True), "second": SHARE_ALIKE}
    stamp = Stamp("long-annotation", "echo@1", "production", licenses, frozenset({"second"}))
    outcome = await make_samples(Bench(Echo(), (), (), stamp), RECORD, TAGS, answers, None)  # type: ignore[arg-type]
    (sample,) = outcome.samples
    assert (sample.license, sample.grade) == (license, grade)
    assert sample.teacher_license == license.removeprefix("CC-BY-4.0 AND ")
