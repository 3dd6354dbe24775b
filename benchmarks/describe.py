"""The generator that benchmarks.generation measures: one prompt file, one ask, one schema."""

from pathlib import Path
from typing import ClassVar

from generators.asking import Style, ask_with
from generators.base import AskOptions, OnePrompt, show
from generators.shape import Shape
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.record import Record


class DescribeOptions(AskOptions):
    """The options, with the prompt that lies beside this file."""

    prompt: str = str(Path(__file__).with_suffix(".md"))


class DescribeReply(Shape):
    """What is read from a reply."""

    technique: str
    findings: str
    impression: str


class Describe(OnePrompt[DescribeOptions]):
    """Asks for a structured description, as the peers are asked."""

    name: ClassVar[str] = "describe"
    version: ClassVar[int] = 1
    Options: ClassVar[type[DescribeOptions]] = DescribeOptions
    replies: ClassVar[type[Shape]] = DescribeReply

    def accepts(self, record: Record) -> bool:
        """Every record of the benchmark."""
        return True

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """One conversation."""
        variables = {"case": record.facts.caption}
        style = Style("generate", self.options, self.seed)
        answer = await ask_with(ask, self.prompt, variables, record, style)
        text = self.prompt.answer(answer.usable(), **variables)
        messages = (show(record, self.prompt.human(0, **variables)), Message("assistant", text))
        return [Conversation(messages, "report", answer.pairs)]
