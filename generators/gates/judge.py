"""judge: another model scores a sample against the facts; used only where a judge is configured."""

from typing import Final

from generators.asking import ask_for
from generators.facts import fact_lines, media_lines
from generators.gates.said import assistant_text, human_text
from generators.prompt import Prompt, load_prompt
from generators.shape import Shape
from schemas.ask import Ask, Request, Sampling
from schemas.conversation import Conversation, JudgedGate, Verdict
from schemas.record import Record

SAMPLING: Final = Sampling(max_tokens=256, temperature=0.0, seed=0)


class Judged(Shape):
    """A judge's reply: gates by name, true when they hold, and points from 0 to 10."""

    gates: dict[str, bool]
    score: int


def judged(min_score: float, prompt_name: str = "judge") -> JudgedGate:
    """Asks for essential gates and a score; refuses `judge-gate`, `judge-score` and `judge-unparseable`.

    The score is the share of the ten points given; `ask` must reach another model than the author's.
    """
    prompt = load_prompt(prompt_name, Judged)

    async def check(record: Record, conversation: Conversation, ask: Ask) -> Verdict:
        answer = await ask_for(ask, Judged, request_of(prompt, record, conversation), SAMPLING.seed or 0)
        if answer.value is None:
            return Verdict("judge", False, "judge-unparseable", answer.problem)
        score = answer.value.score / 10
        failed = sorted(name for name, held in answer.value.gates.items() if not held)
        if failed:
            return Verdict("judge", False, "judge-gate", ", ".join(failed), score)
        passed = score >= min_score
        return Verdict("judge", passed, "" if passed else "judge-score", f"{score:g}", score)

    return check


def request_of(prompt: Prompt[Judged], record: Record, conversation: Conversation) -> Request:
    """What the judge is asked: facts, question and answer."""
    variables: dict[str, object] = {
        "facts": fact_lines(record),
        "media": media_lines(record),
        "human": human_text(conversation),
        "assistant": assistant_text(conversation),
        "gold": conversation.gold or "",
    }
    return Request("judge", prompt.render(**variables), SAMPLING, prompt.schema(**variables), 0, prompt.sha256)
