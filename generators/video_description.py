"""video description: segments, frames and times become a timed description of what is visible."""

from typing import Annotated, ClassVar

from pydantic import Field

from generators.asking import Style, ask_with, common
from generators.base import AskOptions, OnePrompt, show
from generators.facts import duration, fact_lines
from generators.shape import Shape
from generators.variety import number
from schemas.ask import Ask
from schemas.conversation import Conversation, Message
from schemas.record import Media, Record, Segment


class VideoDescriptionOptions(AskOptions):
    """`[flows.video-description.options]`; `parts` is into how many equal stretches an uncut clip falls."""

    prompt: str = "video-description"
    max_tokens: int = 1_024
    parts: Annotated[int, Field(ge=1, le=32)] = 4


class VideoDescriptionReply(Shape):
    """What a timed description needs of a reply: one event for each segment."""

    overview: str
    events: list[str]


class VideoDescription(OnePrompt[VideoDescriptionOptions]):
    """One timed description a record; the times are the record's, the words the teacher's."""

    name: ClassVar[str] = "video_description"
    version: ClassVar[int] = 1
    Options: ClassVar[type[VideoDescriptionOptions]] = VideoDescriptionOptions
    replies: ClassVar[type[Shape]] = VideoDescriptionReply

    def accepts(self, record: Record) -> bool:
        """A record with a timed video and something said about it."""
        return _video(record) is not None and bool(fact_lines(record))

    async def generate(self, record: Record, ask: Ask) -> list[Conversation]:
        """One conversation: all frames, then one line for each segment."""
        video = _video(record)
        assert video is not None, "accepts() was not asked"
        segments = record.facts.segments or cut(video, self.options.parts)
        variables = {**common(record), "segments": segments, "times": video.times, "seconds": duration(video)}
        answer = await ask_with(ask, self.prompt, variables, record, Style("generate", self.options, self.seed))
        text = self.prompt.answer(answer.usable(), **variables)
        human = self.prompt.human(number(self.seed, record.id, "human"), **variables)
        messages = (show(record, human), Message("assistant", text))
        return [Conversation(messages, "video-description", answer.pairs, self.prompt.header.language)]


def cut(video: Media, parts: int) -> tuple[Segment, ...]:
    """Equal stretches of a clip that nobody has cut; never more of them than frames."""
    parts = min(parts, len(video.frames))
    start, step = video.times[0], duration(video) / parts
    return tuple(Segment(start + index * step, start + (index + 1) * step) for index in range(parts))


def _video(record: Record) -> Media | None:
    return next((media for media in record.media if media.kind == "video" and len(media.times) > 1), None)
