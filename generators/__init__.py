"""Every generator, by name; a new one is a file here and a line in `_ALL`."""

from collections.abc import Mapping
from typing import Any, Final

from generators.base import Generator
from generators.caption import Caption
from generators.long_annotation import LongAnnotation
from generators.multilingual_reasoning import MultilingualReasoning
from generators.synthetic_qa import SyntheticQA
from generators.verbatim import Verbatim
from generators.video_description import VideoDescription
from schemas.errors import ConfigError
from schemas.pipeline import unknown, validate

_ALL: tuple[type[Generator], ...] = (
    Caption,
    LongAnnotation,
    MultilingualReasoning,
    VideoDescription,
    SyntheticQA,
    Verbatim,
)

GENERATORS: Final[Mapping[str, type[Generator]]] = {generator.name: generator for generator in _ALL}

DEFAULT_GENERATOR: Final[Mapping[str, str]] = {
    "captioning": Caption.name,
    "long-annotation": LongAnnotation.name,
    "multilingual-reasoning": MultilingualReasoning.name,
    "video-description": VideoDescription.name,
    "synthetic-qa": SyntheticQA.name,
}
"""The generator of each flow when pipeline.toml names none."""


def build(name: str, options: Mapping[str, Any], seed: int, where: str) -> Generator:
    """A generator with checked options; `where` opens every message, e.g. `[flows.captioning.options]`.

    ConfigError when there is no such generator, an option is unknown or ill-typed, or a prompt is missing.
    """
    if name not in GENERATORS:
        raise ConfigError(f"{where}: {unknown('generator', name, GENERATORS)}")
    kind: type[Generator] = GENERATORS[name]
    checked: Any = validate(kind.Options, options, where)  # each class takes its own Options
    return kind(checked, seed)
