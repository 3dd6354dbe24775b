"""Asking with a prompt file: variables to a request, a reply to a checked answer, once corrected if need be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from pydantic import ValidationError

from generators.base import AskOptions
from generators.correcting import SUFFIX, Pair, correction, may_correct
from generators.facts import fact_lines, media_lines, salient_lines
from generators.prompt import Prompt, Said
from generators.reply import complaint, read
from generators.variety import number
from schemas.ask import Ask, Reply, Request, Turn
from schemas.errors import GenerationError
from schemas.record import Frame, Record

Variables = Mapping[str, object]


def common(record: Record) -> dict[str, object]:
    """The variables that every prompt may use; generators add their own."""
    facts = record.facts
    return {
        "facts": fact_lines(record),
        "salient": salient_lines(record),
        "media": media_lines(record),
        "kind": record.media[0].kind if record.media else "text",
        "num_frames": len(record.frames),
        "labels": facts.labels,
        "metadata": facts.metadata,
        "caption": facts.caption,
        "report": facts.report,
    }


async def ask_with(
    ask: Ask, prompt: Prompt[Said], variables: Variables, record: Record, style: "Style", attempt: int = 0
) -> "Answer[Said]":
    """Render, ask and read one reply; whatever is wrong with the reply is in `Answer.problem`."""
    request = request_of(prompt, variables, record, style, attempt)
    return await ask_for(
        ask, prompt.shape, request, number(style.seed, record.id, style.role + SUFFIX, style.key, attempt)
    )


async def ask_for(ask: Ask, shape: type[Said], request: Request, seed: int) -> "Answer[Said]":
    """One reply, read; one that is complete and wrong in form alone is asked for again, with its fault named.

    `seed` is the sampling seed of that second request.
    """
    reply = await ask(request)
    first = answer_of(shape, ((request, reply),))
    if not may_correct(reply, first.problem):
        return first
    again = correction(request, reply, _fault(shape, request, reply), seed)
    return answer_of(shape, (*first.pairs, (again, await ask(again))))


def request_of(prompt: Prompt[Said], variables: Variables, record: Record, style: "Style", attempt: int = 0) -> Request:
    """What a prompt asks of one record."""
    frames = record.frames if prompt.header.frames else ()
    return Request(
        style.role,
        _with_frames(prompt.render(**variables), frames),
        style.options.sampling(number(style.seed, record.id, style.role, style.key, attempt)),
        prompt.schema(**variables),
        attempt,
        prompt.sha256,
        style.language or prompt.header.language,
    )


def answer_of(shape: type[Said], pairs: tuple[Pair, ...]) -> "Answer[Said]":
    """The last reply of a question and its correction, read and given its shape."""
    request, reply = pairs[-1]
    value, problem = read(reply, request.schema)
    if problem:
        return Answer(pairs, None, problem)
    try:
        return Answer(pairs, shape.model_validate(value), "")
    except ValidationError:
        return Answer(pairs, None, "off-schema")


def _fault(shape: type[Said], request: Request, reply: Reply) -> str:
    """What is wrong with a reply's form, in words for its teacher: by its schema, else by its shape."""
    said = complaint(reply, request.schema)
    if said:
        return said
    try:
        shape.model_validate(read(reply, request.schema)[0])
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"/{'/'.join(map(str, first['loc']))}: {first['msg']}"
    raise AssertionError("nothing is wrong with this reply")


def _with_frames(turns: tuple[Turn, ...], frames: tuple[Frame, ...]) -> tuple[Turn, ...]:
    """The frames go before the last user turn."""
    if not frames:
        return turns
    last = max(index for index, turn in enumerate(turns) if turn.role == "user")
    shown = Turn("user", turns[last].text, frames)
    return (*turns[:last], shown, *turns[last + 1 :])


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of question is put: its role, its sampling, what sets its seed apart.

    `language` is the one to answer in (ISO 639-1); "" is the prompt's own.
    """

    role: str
    options: AskOptions
    seed: int
    key: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Said]):
    """A question, its correction if there was one, the last reply's value, and the slug of what is wrong with it."""

    pairs: tuple[Pair, ...]
    """What a conversation records of it."""
    value: Said | None
    problem: str

    @property
    def reply(self) -> Reply:
        """The reply that counts."""
        return self.pairs[-1][1]

    def usable(self) -> Said:
        """The value; GenerationError when something is wrong with it."""
        if self.value is None:
            raise GenerationError(self.problem, self.reply.content[:200])
        return self.value
