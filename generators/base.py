"""What a generator is: one record and one `ask` in, conversations out."""

from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from generators.prompt import Prompt, load_prompt
from generators.shape import Shape
from schemas.ask import Ask, Sampling
from schemas.conversation import Conversation, Message
from schemas.pipeline import Table
from schemas.record import Record


def show(record: Record, text: str) -> Message:
    """The first human turn: every frame of the record, then `text`."""
    return Message("user", text, num_images=len(record.frames))


class AskOptions(Table):
    """What every generator that asks a teacher lets pipeline.toml set.

    `prompt` is the name of a file in `generators/prompts/` or a path to one. `max_tokens` bounds one
    reply; `temperature` and `top_p` are the teacher's sampling.
    """

    prompt: str
    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.95

    def sampling(self, seed: int) -> Sampling:
        """These numbers as a request's sampling."""
        return Sampling(self.max_tokens, self.temperature, self.top_p, seed)


Asking = TypeVar("Asking", bound=AskOptions)
Thinking = Literal["none", "written", "native"]
"""Whether samples hold `<think>` text: not at all, as a teacher's reply, or as what it thought before its reply."""


class OnePrompt(Generic[Asking]):
    """What generators share that have one prompt and ask once a record; `replies` is what they need of one."""

    replies: ClassVar[type[Shape]] = Shape

    def __init__(self, options: Asking, seed: int) -> None:
        self.options, self.seed = options, seed
        self.prompt = load_prompt(options.prompt, self.replies)

    def prompts(self) -> tuple[Prompt[Any], ...]:
        """The one prompt."""
        return (self.prompt,)

    def num_asks(self) -> int:
        """One."""
        return 1

    def thinking(self) -> Thinking:
        """No `<think>` text."""
        return "none"


class Generator(Protocol):
    """Turns records into conversations; it asks, and never reads, writes, waits or draws lots.

    `Options` checks `[flows.X.options]`: unknown keys are errors. `version` counts changes of meaning
    for people; the code's own hash enters the fingerprint anyway.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    Options: ClassVar[type[Any]]
    """A `schemas.pipeline.Table`; each generator's constructor takes its own kind of it."""

    def __init__(self, options: Any, seed: int) -> None: ...

    def prompts(self) -> tuple[Prompt[Any], ...]:
        """Every prompt file that `generate` may render, for fingerprints; empty when none is."""
        ...

    def num_asks(self) -> int:
        """Requests for one record when nothing is asked twice: what a plan is sized with."""
        ...

    def thinking(self) -> Thinking:
        """Whose `<think>` text the samples hold, for teachers that hide theirs (generators/thinking.py)."""
        ...

    def accepts(self, record: Record) -> bool:
        """Whether the record has what this generator needs; cheap and pure."""
        ...

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """Conversations that each end with an assistant turn; GenerationError when none can be made."""
        ...
