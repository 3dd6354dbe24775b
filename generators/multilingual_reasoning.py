"""multilingual reasoning: a question becomes reasoning that reaches its gold answer, in each language."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from generators.asking import Answer, Style, ask_with, common
from generators.base import AskOptions, Thinking, show
from generators.choices import LETTERS, lettered, same
from generators.prompt import Prompt, load_prompt
from generators.shape import Shape
from generators.variety import number
from schemas.ask import Ask, together
from schemas.conversation import Conversation, Message
from schemas.record import Question, Record
from schemas.taxonomy import LANGUAGE_NAMES


class MultilingualReasoningOptions(AskOptions):
    """`[flows.multilingual-reasoning.options]`.

    `think` says whose `<think>` text it is: `written` as a part of the reply, to a gold answer that is
    given, or `native`, what the model thought by itself on the way to its answer (`prompt` is then
    `reasoning-native` unless named). `languages` are ISO 639-1 codes, one conversation each. `attempts`
    is how often one language is tried before it is given up. `verify_prompt` is what the verifier sees:
    reasoning, never the gold.
    """

    think: Literal["written", "native"] = "written"
    prompt: str = "reasoning"
    verify_prompt: str = "reasoning-verify"
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    attempts: Annotated[int, Field(ge=1, le=16)] = 4
    max_tokens: int = 2_048
    verify_max_tokens: Annotated[int, Field(ge=1)] = 64

    @model_validator(mode="before")
    @classmethod
    def _own_prompt(cls, data: Any) -> Any:
        given: dict[str, Any] = dict(data)
        return {"prompt": "reasoning-native", **given} if given.get("think") == "native" else given


class Reasoned(Shape):
    """Reasoning and the answer that it reached; `answer` None stands for the gold that was given."""

    reasoning: str
    answer: str | None = None


class Answered(Shape):
    """An answer alone: a verifier's, or one whose reasoning is beside it."""

    answer: str


class MultilingualReasoning:
    """One conversation a language: the question, then `<think>` reasoning and the answer.

    A language whose verifier never reached the gold comes back with `pass_rate` 0 and is refused by the
    answer gate, so that it is counted.
    """

    name: ClassVar[str] = "multilingual_reasoning"
    version: ClassVar[int] = 1
    Options: ClassVar[type[MultilingualReasoningOptions]] = MultilingualReasoningOptions

    def __init__(self, options: MultilingualReasoningOptions, seed: int) -> None:
        self.options, self.seed = options, seed
        self.prompt: Prompt[Any] = load_prompt(options.prompt, Answered if options.think == "native" else Reasoned)
        self.verify_prompt = load_prompt(options.verify_prompt, Answered)
        self.verifying = options.model_copy(update={"max_tokens": options.verify_max_tokens, "temperature": 0.0})

    def prompts(self) -> tuple[Prompt[Any], ...]:
        """The reasoning prompt and the verifier's."""
        return (self.prompt, self.verify_prompt)

    def num_asks(self) -> int:
        """Reasoning and verifier, for each language."""
        return 2 * len(self.options.languages)

    def thinking(self) -> Thinking:
        """As `options.think` says."""
        return self.options.think

    def accepts(self, record: Record) -> bool:
        """A record with a question and its answer, few enough options to letter."""
        question = record.facts.question
        return question is not None and bool(question.gold) and len(question.options) <= len(LETTERS)

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """One conversation for each of `options.languages`, asked side by side, in their order."""
        question = record.facts.question
        assert question is not None, "accepts() was not asked"
        return await together(self._in_language(record, question, code, ask) for code in self.options.languages)

    async def _in_language(self, record: Record, question: Question, code: str, ask: Ask) -> Conversation:
        """Resample until the verifier reaches the gold; the last try is what a failure is judged by."""
        variables = {**common(record), **_asked(question, code)}
        tried: list[Answer[Reasoned]] = []
        for attempt in range(self.options.attempts):
            answer = await self._reasoned(record, variables, code, attempt, ask)
            tried.append(answer)
            if answer.value is None or not same(answer.value.answer or question.gold, question.gold):
                continue
            seen = {**variables, "reasoning": answer.value.reasoning}
            style = Style("verify", self.verifying, self.seed, code, code)
            check = await ask_with(ask, self.verify_prompt, seen, record, style, attempt)
            if check.value is not None and same(check.value.answer, question.gold):
                reached = replace(answer, pairs=(*answer.pairs, *check.pairs))
                return self._conversation(record, question, variables, reached, 1 / (attempt + 1))
        return self._conversation(record, question, variables, tried[-1], 0.0)

    async def _reasoned(
        self, record: Record, variables: Mapping[str, object], code: str, attempt: int, ask: Ask
    ) -> Answer[Reasoned]:
        """One try; the model's own thinking takes the place of what it would have written."""
        style = Style("generate", self.options, self.seed, code, code)
        said = await ask_with(ask, self.prompt, variables, record, style, attempt)
        if said.value is None or self.options.think == "written":
            return said
        thought = said.reply.reasoning.strip()
        if not thought:
            return Answer(said.pairs, None, "no-thinking")
        return Answer(said.pairs, Reasoned(**{**said.value.model_dump(), "reasoning": thought}), "")

    def _conversation(
        self,
        record: Record,
        question: Question,
        variables: Mapping[str, object],
        said: Answer[Reasoned],
        pass_rate: float,
    ) -> Conversation:
        code = str(variables["language_code"])
        text = said.reply.content if said.value is None else self.prompt.answer(said.value, **variables)
        human = self.prompt.human(number(self.seed, record.id, code, "human"), **variables)
        stem = "\n\n".join(part for part in (question.stem, lettered(question.options), human) if part)
        messages = (show(record, stem), Message("assistant", text))
        kind = "multiple_choice" if question.options else "open"
        return Conversation(messages, "reasoning", said.pairs, code, question.gold, kind, pass_rate)


def _asked(question: Question, code: str) -> dict[str, object]:
    """The variables that a question adds."""
    letter = LETTERS[question.options.index(question.gold)] if question.gold in question.options else ""
    return {
        "question": question.stem,
        "options": question.options,
        "choices": lettered(question.options),
        "gold": question.gold,
        "letter": letter,
        "explanation": question.explanation,
        "language": LANGUAGE_NAMES.get(code, code),
        "language_code": code,
    }
