"""Which words of a conversation a gate reads, and how words are counted in every script."""

import re
from typing import Final

from schemas.conversation import Conversation

_THINK: Final = re.compile(r"</?think>")
_DENSE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_WORD: Final = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
DENSE_CHARACTERS_PER_WORD: Final = 1.6
"""Han and kana are written without spaces: about 1.6 of them make an English word's worth of text."""


def assistant_text(conversation: Conversation) -> str:
    """Everything the assistant says, one turn a paragraph, without the think tags."""
    text = "\n".join(message.text for message in conversation.messages if message.role == "assistant")
    return _THINK.sub("", text).strip()


def human_text(conversation: Conversation) -> str:
    """Everything the human says, one turn a paragraph."""
    return "\n".join(message.text for message in conversation.messages if message.role == "user").strip()


def whole_text(conversation: Conversation) -> str:
    """Both sides."""
    return f"{human_text(conversation)}\n{assistant_text(conversation)}"


def num_words(text: str) -> int:
    """Words: runs of letters and digits, and 1.6 Han or kana characters each."""
    dense = len(_DENSE.findall(text))
    return len(_WORD.findall(_DENSE.sub(" ", text))) + round(dense / DENSE_CHARACTERS_PER_WORD)
