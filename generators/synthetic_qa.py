"""synthetic QA: facts become open, yes-no and multiple-choice questions that need the picture."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from generators.asking import Answer, Style, ask_with, common
from generators.base import AskOptions, Thinking, show
from generators.choices import LETTERS, lettered
from generators.prompt import Prompt, load_prompt
from generators.rivals import rivals_of, targets_of
from generators.shape import Shape
from generators.variety import number, pick, shuffled
from schemas.ask import Ask, together
from schemas.conversation import Conversation, Message
from schemas.record import Record

Kind = Literal["open", "yes_no", "multiple_choice"]
KINDS: Final[tuple[Kind, ...]] = ("open", "yes_no", "multiple_choice")


class SyntheticQAOptions(AskOptions):
    """`[flows.synthetic-qa.options]`.

    `prompts` names the prompt of each kind (`prompt` is its prefix: `qa` gives `qa-open` and so on).
    `questions` is how many are asked of one record; kinds and facts take turns, starting where a hash
    of the record says. `blind_tries` is how often a teacher that sees nothing may guess.
    """

    prompt: str = "qa"
    blind_prompt: str = "qa-blind"
    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1)
    questions: Annotated[int, Field(ge=1, le=12)] = 3
    blind_control: bool = True
    blind_tries: Annotated[int, Field(ge=1, le=8)] = 1
    blind_max_tokens: Annotated[int, Field(ge=1)] = 64


class Questioned(Shape):
    """A question and its answer."""

    question: str
    answer: str


class Chosen(Questioned):
    """A question with its answer and what else one may choose."""

    distractors: list[str]


class Lettered(Questioned):
    """A question whose choices, if any, are in the order that a hash says; `letter` is the answer's."""

    choices: str = ""
    options: tuple[str, ...] = ()
    letter: str = ""


class Guessed(Shape):
    """What is answered without the picture."""

    answer: str


SHAPES: Final[dict[Kind, type[Questioned]]] = {"open": Questioned, "yes_no": Questioned, "multiple_choice": Chosen}


class SyntheticQA:
    """One conversation a question; the blind control's replies ride along for the blind gate to judge."""

    name: ClassVar[str] = "synthetic_qa"
    version: ClassVar[int] = 1
    Options: ClassVar[type[SyntheticQAOptions]] = SyntheticQAOptions

    def __init__(self, options: SyntheticQAOptions, seed: int) -> None:
        self.options, self.seed = options, seed
        self.by_kind = {kind: load_prompt(_file(options.prompt, kind), SHAPES[kind]) for kind in options.kinds}
        self.blind_prompt = load_prompt(options.blind_prompt, Guessed)
        self.guessing = options.model_copy(update={"max_tokens": options.blind_max_tokens})

    def prompts(self) -> tuple[Prompt[Any], ...]:
        """One prompt a kind, then the blind one."""
        blind = (self.blind_prompt,) if self.options.blind_control else ()
        return (*self.by_kind.values(), *blind)

    def num_asks(self) -> int:
        """The question and its blind tries, for each question."""
        return self.options.questions * (1 + self.options.blind_control * self.options.blind_tries)

    def thinking(self) -> Thinking:
        """No `<think>` text."""
        return "none"

    def accepts(self, record: Record) -> bool:
        """A record with a picture or a report, and a fact short enough to be an answer."""
        return bool(record.frames or record.facts.report) and bool(targets_of(record))

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """`options.questions` conversations, unusable replies included for the structural gate to count.

        They are asked side by side, so that what shows the same picture leaves together.
        """
        first, kinds = number(self.seed, record.id, "kind"), self.options.kinds
        turns: list[Kind] = [kinds[(first + index) % len(kinds)] for index in range(self.options.questions)]
        return await together(self._question(record, index, kind, ask) for index, kind in enumerate(turns))

    async def _question(self, record: Record, index: int, kind: Kind, ask: Ask) -> Conversation:
        prompt = self.by_kind[kind]
        variables = {**common(record), **self._target(record, index, kind)}
        style = Style("generate", self.options, self.seed, f"{index} {kind}")
        answer = await ask_with(ask, prompt, variables, record, style)
        if answer.value is None:
            messages = (show(record, prompt.header.purpose), Message("assistant", answer.reply.content))
            return Conversation(messages, "vqa", answer.pairs, prompt.header.language, answer_type=kind)
        said = self._with_letter(record, index, answer.value)
        human = "\n\n".join(part for part in (_context(record), said.question, said.choices) if part)
        blind = await self._blind(record, index, kind, said, ask)
        messages = (show(record, human), Message("assistant", prompt.answer(said, **variables)))
        pairs = tuple(pair for one in (answer, *blind) for pair in one.pairs)
        task = "vqa" if record.frames else "qa"
        return Conversation(messages, task, pairs, prompt.header.language, said.answer, kind)

    def _target(self, record: Record, index: int, kind: Kind) -> dict[str, object]:
        """Which fact to ask about, what else it could have been, and whether the answer is to be yes."""
        targets = shuffled(targets_of(record), self.seed, record.id, "target")
        if kind != "open":
            targets = tuple(pair for pair in targets if rivals_of(pair[1])) or targets
        key, value = targets[index % len(targets)]
        rivals = shuffled(rivals_of(value), self.seed, record.id, index, "rivals")
        wanted = pick(("yes", "no") if rivals else ("yes",), self.seed, record.id, index, "wanted")
        return {"target_key": key, "target": value, "rivals": rivals, "wanted": wanted}

    def _with_letter(self, record: Record, index: int, said: Questioned) -> Lettered:
        """The reply with its choices in the order that a hash says, and the gold's letter."""
        options: tuple[str, ...] = ()
        if isinstance(said, Chosen):
            options = shuffled((said.answer, *said.distractors), self.seed, record.id, index, "letters")
        letter = LETTERS[options.index(said.answer)] if options else ""
        made = {"choices": lettered(options), "options": options, "letter": letter}
        return Lettered.model_validate({**said.model_dump(), **made})

    async def _blind(self, record: Record, index: int, kind: Kind, said: Lettered, ask: Ask) -> list[Answer[Guessed]]:
        """What a teacher answers that has the question and neither picture nor facts."""
        if not (self.options.blind_control and record.frames):
            return []
        variables = {"question": said.question, "choices": said.choices, "options": said.options, "answer_type": kind}
        style = Style("blind", self.guessing, self.seed, f"{index} {kind}")
        tries = range(self.options.blind_tries)
        return await together(ask_with(ask, self.blind_prompt, variables, record, style, i) for i in tries)


def _file(prompt: str, kind: Kind) -> str:
    """`qa` and `open` give `qa-open`; a path to a prompt file stands for every kind."""
    return prompt if prompt.endswith(".md") else f"{prompt}-{kind.replace('_', '-')}"


def _context(record: Record) -> str:
    """What a question about a text record is asked of."""
    return "" if record.frames else record.facts.report
