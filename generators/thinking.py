"""Which teachers may write a flow's `<think>` text: those that do not hide what they think."""

from typing import Final

from generators.base import Generator
from schemas.errors import ConfigError
from schemas.pipeline import Pipeline

_ANY: Final = frozenset({"field", "tags", "hidden", "none"})
_OTHERWISE: Final = ', or let it write its reasoning: options = { think = "written" }'


def check_thinking(generator: Generator, pipeline: Pipeline, name: str, where: str) -> None:
    """ConfigError when teacher `name`, or one that it falls back to, cannot do what the samples need.

    A teacher that hides its reasoning is refused for every sample with `<think>` text: what it writes
    there is not how it came to its answer. The model's own thinking needs a teacher that shows it.
    """
    kind = generator.thinking()
    allowed = {"none": _ANY, "written": _ANY - {"hidden"}, "native": frozenset({"field", "tags"})}[kind]
    for each in (name, *pipeline.teacher(name).fallback):
        reasoning = pipeline.teacher(each).reasoning
        if reasoning not in allowed:
            fit = " or ".join(f'"{one}"' for one in sorted(allowed))
            raise ConfigError(
                f'{where}: {generator.name} makes <think> samples, and teacher {each!r} has reasoning = "{reasoning}"; '
                f"choose one with reasoning = {fit}{_OTHERWISE if kind == 'native' else ''}"
            )
