"""Records by hand and fake teachers in two lines each."""

import json
from collections.abc import Sequence

from schemas.ask import Reply, Request
from schemas.conversation import Conversation, Message
from schemas.license import License
from schemas.record import Facts, Frame, Hints, Media, Question, Record, SourceTerms
from schemas.taxonomy import Modality

FRAME = Frame(b"picture", "image/png", 8, 8)
REFUSAL = "I'm sorry, but as an AI language model I cannot view images."


def record_of(id: str, facts: Facts, media: tuple[Media, ...] = (), hints: Hints | None = None) -> Record:
    terms = SourceTerms(License("CC0-1.0", commercial=True, derivatives=True, redistribute_media=True))
    return Record(id, "made-by-hand", "1", id, terms, media, facts, hints or Hints())


def media_of(kind: str, num_frames: int) -> tuple[Media, ...]:
    times = tuple(i / 10 for i in range(num_frames)) if kind == "video" else ()
    return (Media(kind, (FRAME,) * num_frames, "0" * 64, "by hand", times),)  # type: ignore[arg-type]


LIVER = record_of(
    "mr-liver",
    Facts(labels=("marked lesion",), metadata={"modality": "magnetic resonance", "body part": "abdomen"}),
    media_of("image", 1),
    Hints(modality=Modality.MRI),
)
BRAIN = record_of(
    "mr-brain",
    Facts(
        labels=("left hippocampus", "right hippocampus"),
        metadata={
            "modality": "magnetic resonance",
            "body part": "brain",
            "left hippocampus": "4.1 mL",
            "right hippocampus": "4.3 mL",
        },
    ),
    media_of("volume", 4),
    Hints(modality=Modality.MRI),
)
ECHO = record_of("echo", Facts(metadata={"modality": "ultrasound", "body part": "heart"}), media_of("video", 10))
REPORT = record_of("sr", Facts(report="A mass of 3 cm was detected in the left lung.", metadata={"body part": "chest"}))
CHAPTERS = ("Diseases of the respiratory system", "Diseases of the digestive system", "Neoplasms")
PNEUMONIA = record_of(
    "J18.9", Facts(question=Question('Which chapter lists "Pneumonia"?', CHAPTERS[0], CHAPTERS, "J18.9: chapter 10"))
)
TALK = record_of(
    "talk",
    Facts(conversation=(("human", "<image>\nWhat organ is this?"), ("gpt", "This is the liver."))),
    media_of("image", 2),
)
GOOD: dict[str, tuple[Record, dict[str, object]]] = {
    "caption": (
        LIVER,
        {"caption": "This magnetic resonance image of the abdomen shows one marked lesion in clear view."},
    ),
    "long_annotation": (
        BRAIN,
        {
            "acquisition": "A magnetic resonance volume of the brain.",
            "anatomy": "Both hippocampi are covered.",
            "findings": ["The left hippocampus measures 4.1 mL.", "The right hippocampus measures 4.3 mL."],
            "relations": "",
            "impression": "Hippocampi of similar volume.",
        },
    ),
    "multilingual_reasoning": (PNEUMONIA, {"reasoning": "Pneumonia affects the lung.", "answer": CHAPTERS[0]}),
    "video_description": (ECHO, {"overview": "An ultrasound clip of the heart.", "events": ["The heart beats."] * 4}),
    "synthetic_qa": (
        LIVER,
        {"question": "What is marked here?", "answer": "lesion", "distractors": ["cyst", "vessel", "stone"]},
    ),
    "verbatim": (TALK, {}),
}
"""For each generator a record that it accepts and a reply that obeys its prompt."""


class Teacher:
    """A fake `ask`: gives the replies in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *replies: object) -> None:
        self.replies, self.requests = replies, list[Request]()

    async def __call__(self, request: Request) -> Reply:
        said = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(request)
        return Reply(said if isinstance(said, str) else json.dumps(said), key=str(len(self.requests)))


def talk(assistant: str, human: str = "Describe this.", **fields: object) -> Conversation:
    """One exchange without pictures."""
    messages = (Message("user", human), Message("assistant", assistant))
    return Conversation(messages, **{"task": "caption", **fields})  # type: ignore[arg-type]


def texts(conversations: Sequence[Conversation]) -> list[str]:
    return [conversation.messages[-1].text for conversation in conversations]
