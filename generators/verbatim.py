"""verbatim: the publisher's own conversation, kept as it is, with no teacher."""

import re
from typing import Any, ClassVar, Final

from generators.base import Thinking
from generators.prompt import Prompt
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.errors import GenerationError
from schemas.pipeline import Table
from schemas.record import Record

_PLACEHOLDER: Final = re.compile(r"<(?:image|video|im_start|im_end)>\s?")
"""Pictures are counted by `num_images`; LLaVA-style tokens in the text would count them twice."""

ROLES: Final = {"human": "user", "gpt": "assistant"}
"""ShareGPT's names for the two speakers; every other name stands for itself."""


class VerbatimOptions(Table):
    """`[flows.X.options]`; `task` is what the conversation trains."""

    task: str = "conversation"


class Verbatim:
    """One conversation a record, as published: only the form is made ours."""

    name: ClassVar[str] = "verbatim"
    version: ClassVar[int] = 1
    Options: ClassVar[type[VerbatimOptions]] = VerbatimOptions

    def __init__(self, options: VerbatimOptions, seed: int) -> None:
        self.options = options

    def prompts(self) -> tuple[Prompt[Any], ...]:
        """None: nothing is asked."""
        return ()

    def num_asks(self) -> int:
        """None."""
        return 0

    def thinking(self) -> Thinking:
        """None is made."""
        return "none"

    def accepts(self, record: Record) -> bool:
        """A record whose publisher wrote a conversation."""
        return bool(record.facts.conversation)

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """The published turns, all frames before the first human one; GenerationError `not-a-conversation`."""
        messages: list[Message] = []
        frames = len(record.frames)
        for name, text in record.facts.conversation:
            role = ROLES.get(name, name)
            if role not in ("system", "user", "assistant"):
                raise GenerationError("not-a-conversation", f"a turn by {name!r}")
            shown, frames = (frames, 0) if role == "user" else (0, frames)
            words = _PLACEHOLDER.sub("", text).strip()
            messages.append(Message(role, words, shown))
        if not messages or messages[-1].role != "assistant" or frames:
            raise GenerationError("not-a-conversation", "it must show the pictures to a human and end with an answer")
        return [Conversation(tuple(messages), self.options.task, language=record.language)]
