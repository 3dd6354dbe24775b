"""What a request needs that a teacher may not have, and how many tokens a request is likely to be."""

from typing import Final

from schemas.ask import Request
from schemas.pipeline import Teacher

PLAIN_PER_TOKEN: Final = 3.0
"""Bytes a token in ASCII: English has 4 to 5, JSON 2.5 to 4 (SmolLM2's tokenizer; larger ones need fewer tokens)."""

DIGITS: Final = b"0123456789"
"""A token each: SmolLM2, Qwen and Gemma split numbers so, Llama 3 takes up to three digits at once."""

OTHER_PER_TOKEN: Final = 1.4
"""Bytes a token in any other script: Chinese is 3 bytes a character and 2 tokens where the vocabulary is small."""

HIGH: Final = bytes(range(128, 256))

TURN_TOKENS: Final = 8
"""Role and separators that a chat template adds to each turn (ChatML: 5)."""

PIXELS_PER_TOKEN: Final = 784
"""28 x 28, of Qwen2-VL and Qwen2.5-VL; InternVL's tiles come to the same, Qwen3-VL's to 1,024."""

FRAME_TOKENS: Final = 4
"""Markers before and after each frame."""


def prompt_tokens(request: Request, max_pixels: int | None = None) -> int:
    """About how many tokens the prompt is, rather too many than too few, for any language; at least 1.

    Text by its UTF-8 bytes, frames by their pixels (at most `max_pixels` each). SmolLM2's own counts, over
    19 texts in 11 languages, JSON, tables and codes: 0.78 (codes and UIDs) to 1.6 times as many as are
    (median 1.1). A schema is not counted: servers hold a reply to it without reading it.
    """
    tokens = 1.0
    for turn in request.turns:
        tokens += TURN_TOKENS + _text_tokens(turn.text)
        for frame in turn.frames:
            pixels = frame.width * frame.height
            tokens += FRAME_TOKENS + (min(pixels, max_pixels) if max_pixels else pixels) / PIXELS_PER_TOKEN
    return int(tokens)


def lacks(config: Teacher, request: Request) -> str:
    """The first thing that `request` needs and the teacher does not declare, as words for a person; "" for nothing.

    A capability that is not declared either way (`context_tokens` None, no `languages`) is taken for there.
    """
    if "image" not in config.accepts and any(turn.frames for turn in request.turns):
        return "no vision"
    if request.schema is not None and config.structured != "schema":
        return "no replies held to a schema"
    if config.languages and request.language not in config.languages:
        return f"no language {request.language!r}"
    if config.context_tokens is None:
        return ""
    needed = prompt_tokens(request, config.pictures.max_pixels) + request.sampling.max_tokens
    if needed <= config.context_tokens:
        return ""
    return f"context of {config.context_tokens:,} tokens is too short for about {needed:,}"


def _text_tokens(text: str) -> float:
    data = text.encode("utf-8", "surrogatepass")
    num_plain = len(data) if text.isascii() else len(data.translate(None, HIGH))
    num_digits = len(data) - len(data.translate(None, DIGITS))
    return num_digits + (num_plain - num_digits) / PLAIN_PER_TOKEN + (len(data) - num_plain) / OTHER_PER_TOKEN
