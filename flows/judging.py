"""One record through generator and gates: samples and rejects, with nothing in between lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flows.stamping import Stamp, sample_of
from generators.base import Generator
from schemas.ask import Ask, Reply, Request
from schemas.conversation import Conversation, Gate, JudgedGate, Verdict
from schemas.errors import GenerationError
from schemas.record import Record, Reject, Tags
from schemas.sample import Sample
from schemas.task import Tally


@dataclass(frozen=True, slots=True)
class Bench:
    """What a task puts every record through."""

    generator: Generator
    gates: tuple[Gate, ...]
    judged_gates: tuple[JudgedGate, ...]
    stamp: Stamp


@dataclass(slots=True)
class Outcome:
    """What became of one record: samples and rejects in order, and its tally."""

    samples: list[Sample] = field(default_factory=list[Sample])
    rejects: list[Reject] = field(default_factory=list[Reject])
    tally: Tally = field(default_factory=lambda: Tally("", ""))

    def refuse(self, reject: Reject) -> None:
        """Keep a reject and count its reason."""
        self.rejects.append(reject)
        self.tally.rejected[reject.reason] = self.tally.rejected.get(reject.reason, 0) + 1


class Recorder:
    """An `ask` that keeps what was answered, so that no generator can forge provenance.

    It counts the tokens of every reply once, whether the teacher or a kept reply gave it.
    """

    def __init__(self, ask: Ask, tally: Tally) -> None:
        self._ask = ask
        self._tally = tally
        self.replies: dict[str, Reply] = {}

    async def __call__(self, request: Request) -> Reply:
        """Ask, and keep the reply under its key."""
        try:
            reply = await self._ask(request)
        except GenerationError:
            self._tally.num_requests += 1
            raise
        if reply.replayed:
            self._tally.num_replayed += 1
        else:
            self._tally.num_requests += 1
            self._tally.usd += reply.usd
        if reply.key not in self.replies:
            self._tally.prompt_tokens += reply.prompt_tokens
            self._tally.completion_tokens += reply.completion_tokens
        self.replies[reply.key] = reply
        return reply


async def make_samples(bench: Bench, record: Record, tags: Tags, ask: Ask, judge: Ask | None) -> Outcome:
    """Every sample and reject of one record. Raises TeacherError when the teacher will answer none."""
    outcome = Outcome(tally=Tally(organ=cell_organ(tags), modality=tags.modality or "text", num_in=1))
    recorder = Recorder(ask, outcome.tally)
    judging = judge and Recorder(judge, outcome.tally)
    if not bench.generator.accepts(record):
        outcome.refuse(Reject(record.id, "generate", "not-accepted", f"not for {bench.generator.name}"))
        return outcome
    try:
        conversations = await bench.generator.generate(record, recorder)
    except GenerationError as error:
        keys = tuple(recorder.replies)
        text = "\n".join(reply.content or reply.reasoning for reply in recorder.replies.values())
        outcome.refuse(Reject(record.id, "generate", error.reason, error.detail, text, keys))
        return outcome
    for index, conversation in enumerate(conversations):
        await _gate(bench, record, tags, conversation, index, recorder, judging, outcome)
    return outcome


async def _gate(
    bench: Bench,
    record: Record,
    tags: Tags,
    conversation: Conversation,
    index: int,
    recorder: Recorder,
    judge: Ask | None,
    outcome: Outcome,
) -> None:
    """One conversation through every gate, stopping at the first that refuses it."""
    outcome.tally.num_generated += 1
    verdicts = await _verdicts(bench, record, conversation, judge)
    refused = next((verdict for verdict in verdicts if not verdict.passed), None)
    keys = tuple(reply.key for _, reply in conversation.asks)
    if refused is not None:
        outcome.refuse(Reject(record.id, "gate", refused.reason, refused.detail, transcript(conversation), keys))
        return
    if forged := set(keys) - set(recorder.replies):
        raise AssertionError(f"{bench.generator.name} cites replies that it never got: {sorted(forged)}")
    scores = [verdict.score for verdict in verdicts if verdict.score is not None]
    scored = replace(conversation, judge_score=scores[-1]) if scores and judge else conversation
    outcome.samples.append(sample_of(bench.stamp, record, tags, scored, verdicts, index))
    outcome.tally.num_kept += 1


async def _verdicts(bench: Bench, record: Record, conversation: Conversation, judge: Ask | None) -> Sequence[Verdict]:
    verdicts: list[Verdict] = []
    for gate in bench.gates:
        verdicts.append(gate(record, conversation))
        if not verdicts[-1].passed:
            return verdicts
    if judge is not None:
        for judged_gate in bench.judged_gates:
            verdicts.append(await judged_gate(record, conversation, judge))
    return verdicts


def cell_organ(tags: Tags) -> str:
    """The row of the organ x modality table that these tags count in."""
    return str(tags.organ_system or tags.scope)


def transcript(conversation: Conversation) -> str:
    """A conversation as plain text, for rejects and terminals."""
    return "\n".join(f"{message.role}: {message.text}" for message in conversation.messages)
