"""captioning: an image and its facts become one short grounded caption."""

from typing import ClassVar

from generators.asking import Style, ask_with, common
from generators.base import AskOptions, OnePrompt, show
from generators.facts import fact_lines
from generators.shape import Shape
from generators.variety import number
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.record import Record


class CaptionOptions(AskOptions):
    """`[flows.captioning.options]`."""

    prompt: str = "caption"
    max_tokens: int = 256


class CaptionReply(Shape):
    """What a caption needs of a reply."""

    caption: str


class Caption(OnePrompt[CaptionOptions]):
    """One caption a record, of what the picture shows and the facts say."""

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 1
    Options: ClassVar[type[CaptionOptions]] = CaptionOptions
    replies: ClassVar[type[Shape]] = CaptionReply

    def accepts(self, record: Record) -> bool:
        """A record with a picture and something said about it."""
        return bool(record.frames) and bool(fact_lines(record))

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """One conversation: all frames and a short human turn, then the caption."""
        variables = common(record)
        answer = await ask_with(ask, self.prompt, variables, record, Style("generate", self.options, self.seed))
        text = self.prompt.answer(answer.usable(), **variables)
        human = self.prompt.human(number(self.seed, record.id, "human"), **variables)
        messages = (show(record, human), Message("assistant", text))
        return [Conversation(messages, "caption", answer.pairs, self.prompt.header.language)]
