"""What a model thought and what it answered, told apart as its teacher declares."""

from collections.abc import Mapping
from typing import Any, Final

OPEN: Final = "<think>"
CLOSE: Final = "</think>"
"""What DeepSeek-R1 and Qwen3 write; servers with a reasoning parser take other models' tags out by themselves."""

FIELDS: Final = ("reasoning", "reasoning_content")
"""vLLM since 0.11 and OpenRouter; DeepSeek, SGLang, llama.cpp and older vLLM."""

NO_CONTENT: Final = "no-content"
UNCLOSED: Final = "unclosed-thinking"
CUT_OFF: Final = "cut-off-thinking"
REFUSED: Final = "teacher-refused"
"""The problems of a completion that is well formed, was paid for, and holds no answer."""


def split(message: Mapping[str, Any], finish_reason: str, mode: str) -> tuple[str, str, str]:
    """(reasoning, content, problem) of a chat completion's message; `mode` is the teacher's `reasoning`.

    `field`: the thinking is beside the content. `tags`: it opens the content, its first tag perhaps in
    the chat template. `hidden` and `none`: the content is taken as it is. Problems: CUT_OFF when the
    token limit ended the thinking, UNCLOSED when it ended by itself without an answer, REFUSED when the
    server says so in a field of its own, NO_CONTENT when there is no text; "" otherwise.
    """
    content = _text(message, "content")
    if not content.strip() and (refusal := _text(message, "refusal")):
        return "", refusal, REFUSED
    reasoning = next((_text(message, name) for name in FIELDS if _text(message, name)), "") if mode == "field" else ""
    tagged = mode == "tags" or (mode == "field" and not reasoning and content.lstrip().startswith(OPEN))
    if tagged:
        reasoning, content, problem = _untagged(content, finish_reason)
        if problem:
            return reasoning, content, problem
    if content.strip():
        return reasoning, content, ""
    # a limit that ends a reply before its first word ended the thinking, shown or hidden
    cut = finish_reason == "length" and (mode == "hidden" or bool(reasoning and not tagged))
    return reasoning, content, CUT_OFF if cut else NO_CONTENT


def _untagged(content: str, finish_reason: str) -> tuple[str, str, str]:
    """(reasoning, content, problem) of a text whose thinking is between tags."""
    text = content.strip()
    opened = text.startswith(OPEN)
    if not opened and text[:1] in ("{", "`"):
        return "", content, ""  # a reply without thinking; a closing tag in it is part of what it says
    thought, closed, answer = text.removeprefix(OPEN).partition(CLOSE)
    if closed:
        return thought.strip(), answer.strip(), ""
    if finish_reason == "length" and text:
        return thought.strip(), "", CUT_OFF
    return (thought.strip(), "", UNCLOSED) if opened else ("", content, "")


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
