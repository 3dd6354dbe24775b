"""long annotation: an image, a volume or a report becomes a structured long description."""

from typing import ClassVar

from generators.asking import Style, ask_with, common
from generators.base import AskOptions, OnePrompt, show
from generators.facts import fact_lines
from generators.shape import Shape
from generators.variety import number
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.record import Record


class LongAnnotationOptions(AskOptions):
    """`[flows.long-annotation.options]`."""

    prompt: str = "long-annotation"
    max_tokens: int = 1_536


class LongAnnotationReply(Shape):
    """What a long description needs of a reply; small teachers write no anatomy and no relations."""

    acquisition: str
    findings: list[str] | str
    impression: str
    anatomy: str = ""
    relations: str = ""


class LongAnnotation(OnePrompt[LongAnnotationOptions]):
    """One long description a record: acquisition, anatomy, findings, relations, impression."""

    name: ClassVar[str] = "long_annotation"
    version: ClassVar[int] = 1
    Options: ClassVar[type[LongAnnotationOptions]] = LongAnnotationOptions
    replies: ClassVar[type[Shape]] = LongAnnotationReply

    def accepts(self, record: Record) -> bool:
        """A record with something said about it; a report may come without pictures."""
        return bool(fact_lines(record)) and (bool(record.frames) or bool(record.facts.report))

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """One conversation: all frames, or the report where there are none, then the sections."""
        variables = common(record)
        answer = await ask_with(ask, self.prompt, variables, record, Style("generate", self.options, self.seed))
        text = self.prompt.answer(answer.usable(), **variables)
        human = self.prompt.human(number(self.seed, record.id, "human"), **variables)
        if not record.frames:
            human = f"{human}\n\n{record.facts.report}"
        task = "report" if record.frames else "report-structuring"
        messages = (show(record, human), Message("assistant", text))
        return [Conversation(messages, task, answer.pairs, self.prompt.header.language)]
