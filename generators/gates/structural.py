"""structural: turns in order, every picture shown once, every reply readable and as its schema says."""

from generators.correcting import SUFFIX, standing
from generators.reply import read
from schemas.conversation import Conversation, Verdict
from schemas.record import Record

_THINKERS = "reasoning"


def well_formed(record: Record, conversation: Conversation) -> Verdict:
    """Reasons: the reply's own (`unparseable`, ...), `turns`, `empty-turn`, `pictures`, `no-thinking`."""
    for request, reply in standing(conversation.asks):
        made = request.role.removesuffix(SUFFIX) == "generate"
        problem = read(reply, request.schema)[1] if made else ""
        if problem:
            return Verdict("structural", False, problem, reply.content[:120])
    reason = _turns(conversation) or _pictures(record, conversation)
    return Verdict("structural", not reason, reason)


def _turns(conversation: Conversation) -> str:
    roles = [message.role for message in conversation.messages if message.role != "system"]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        return "turns"
    if any(not message.text.strip() and not message.num_images for message in conversation.messages):
        return "empty-turn"
    if any(not message.text.strip() for message in conversation.messages if message.role == "assistant"):
        return "empty-turn"
    said = conversation.messages[-1].text
    thinks = said.startswith("<think>") and said.count("<think>") == said.count("</think>") == 1
    return "no-thinking" if conversation.task == _THINKERS and not thinks else ""


def _pictures(record: Record, conversation: Conversation) -> str:
    shown = sum(message.num_images for message in conversation.messages)
    return "" if shown == len(record.frames) else "pictures"
