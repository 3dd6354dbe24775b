"""multilingual reasoning: a question becomes reasoning that reaches its gold answer, in each language."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from generators.asking import Answer, Style, ask_with, common
from generators.base import AskOptions, show
from generators.choices import LETTERS, lettered, same
from generators.prompt import Prompt, load_prompt
from generators.variety import number
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.record import Question, Record
from schemas.taxonomy import LANGUAGE_NAMES


class MultilingualReasoningOptions(AskOptions):
    """`[flows.multilingual-reasoning.options]`.

    `languages` are ISO 639-1 codes, one conversation each. `attempts` is how often one language is
    tried before it is given up. `verify_prompt` is what the verifier sees: reasoning, never the gold.
    """

    prompt: str = "reasoning"
    verify_prompt: str = "reasoning-verify"
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    attempts: Annotated[int, Field(ge=1, le=16)] = 4
    max_tokens: int = 2_048
    verify_max_tokens: Annotated[int, Field(ge=1)] = 64


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
        self.prompt = load_prompt(options.prompt)
        self.verify_prompt = load_prompt(options.verify_prompt)
        self.verifying = options.model_copy(update={"max_tokens": options.verify_max_tokens, "temperature": 0.0})

    def prompts(self) -> tuple[Prompt, ...]:
        """The reasoning prompt and the verifier's."""
        return (self.prompt, self.verify_prompt)

    def num_asks(self) -> int:
        """Reasoning and verifier, for each language."""
        return 2 * len(self.options.languages)

    def accepts(self, record: Record) -> bool:
        """A record with a question and its answer, few enough options to letter."""
        question = record.facts.question
        return question is not None and bool(question.gold) and len(question.options) <= len(LETTERS)

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """One conversation for each of `options.languages`, in their order."""
        question = record.facts.question
        assert question is not None, "accepts() was not asked"
        return [await self._in_language(record, question, code, ask) for code in self.options.languages]

    async def _in_language(self, record: Record, question: Question, code: str, ask: Ask) -> Conversation:
        """Resample until the verifier reaches the gold; the last try is what a failure is judged by."""
        variables = {**common(record), **_asked(question, code)}
        last: Answer | None = None
        for attempt in range(self.options.attempts):
            style = Style("generate", self.options, self.seed, code)
            answer = last = await ask_with(ask, self.prompt, variables, record, style, attempt)
            if answer.problem or not same(str(answer.value.get("answer", question.gold)), question.gold):
                continue
            seen = {**variables, "reasoning": answer.value["reasoning"]}
            check = await ask_with(
                ask,
                self.verify_prompt,
                seen,
                record,
                Style("verify", self.verifying, self.seed, code),
                attempt,
            )
            if not check.problem and same(str(check.value["answer"]), question.gold):
                return self._conversation(record, variables, (answer, check), 1 / (attempt + 1))
        assert last is not None, "attempts is at least 1"
        return self._conversation(record, variables, (last,), 0.0)

    def _conversation(
        self, record: Record, variables: Mapping[str, object], answers: tuple[Answer, ...], pass_rate: float
    ) -> Conversation:
        question, code = record.facts.question, str(variables["language_code"])
        assert question is not None, "accepts() was not asked"
        said = answers[0]
        text = said.reply.content if said.problem else self.prompt.answer(said.value, **variables)
        human = self.prompt.human(number(self.seed, record.id, code, "human"), **variables)
        stem = "\n\n".join(part for part in (question.stem, lettered(question.options), human) if part)
        messages = (show(record, stem), Message("assistant", text))
        pairs = tuple(answer.pair for answer in answers)
        kind = "multiple_choice" if question.options else "open"
        return Conversation(messages, "reasoning", pairs, code, question.gold, kind, pass_rate)


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
