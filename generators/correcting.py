"""The one correction turn: a teacher is shown what it wrote, told what is wrong with its form, and asked again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from generators.reply import FORM
from schemas.ask import Reply, Request, Turn

SUFFIX: Final = "-correct"
"""What a correction's role ends with: `generate-correct` corrects `generate`."""

Pair = tuple[Request, Reply]


def may_correct(reply: Reply, problem: str) -> bool:
    """Whether a reply was finished and only its form is wrong; a cut or refused one is not asked again."""
    return problem in FORM and reply.finish_reason == "stop" and bool(reply.content.strip())


def correction(request: Request, reply: Reply, wrong: str, seed: int) -> Request:
    """The request that asks once more, with the reply and what is wrong with it."""
    words = f"That reply cannot be used: {wrong}. Reply again with the corrected JSON object alone, no other words."
    turns = (*request.turns, Turn("assistant", reply.content), Turn("user", words))
    return replace(request, role=request.role + SUFFIX, turns=turns, sampling=replace(request.sampling, seed=seed))


def standing(asks: Sequence[Pair]) -> tuple[Pair, ...]:
    """The asks whose replies count: all but those that the next one corrects."""
    after = [*(request.role for request, _ in asks[1:]), ""]
    return tuple(pair for pair, role in zip(asks, after, strict=False) if role != pair[0].role + SUFFIX)
