"""answer: a question's answer is one of its options, is the gold, was reached, and is not in the question."""

import re
from typing import Final

from generators.choices import choices_in, normal, same, stem_of
from generators.gates.said import human_text
from schemas.conversation import Conversation, Verdict
from schemas.record import Record

_AFTER_THINKING: Final = re.compile(r"\A.*</think>\s*", re.DOTALL)
_LETTER: Final = re.compile(r"\A([A-H])(?:[.)]|\b)")


def answer_holds(record: Record, conversation: Conversation) -> Verdict:
    """Reasons: `gold-not-reached`, `gold-leak`, `bad-options`, `bad-letter`, `not-the-gold`, `no-gold`."""
    reason = _reason(conversation)
    return Verdict("answer", not reason, reason, (conversation.gold or "")[:80] if reason else "")


def _reason(conversation: Conversation) -> str:
    gold, kind = conversation.gold, conversation.answer_type
    if conversation.pass_rate == 0:
        return "gold-not-reached"
    if kind == "free_text":
        return ""
    if not gold or not normal(gold):
        return "no-gold"
    human = human_text(conversation)
    said = _AFTER_THINKING.sub("", conversation.messages[-1].text).strip()
    if kind == "yes_no":
        return "" if said.casefold().startswith(gold.casefold()) and normal(gold) in ("yes", "no") else "not-the-gold"
    if leaks(gold, stem_of(human)):
        return "gold-leak"
    if kind == "multiple_choice":
        return _choice(choices_in(human), gold, said)
    return "" if normal(gold) in normal(said) else "not-the-gold"


def _choice(options: dict[str, str], gold: str, said: str) -> str:
    distinct = {normal(option) for option in options.values()}
    if len(options) < 2 or len(distinct) < len(options) or normal(gold) not in distinct:
        return "bad-options"
    letter = _LETTER.match(said)
    if letter is None or letter[1] not in options:
        return "bad-letter"
    return "" if same(options[letter[1]], gold) else "not-the-gold"


def leaks(gold: str, stem: str) -> bool:
    """Whether the words of the gold answer stand in the question, one after the other."""
    return f" {normal(gold)} " in f" {normal(stem)} "
