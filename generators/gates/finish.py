"""finish: the teacher ended its reply by itself."""

from generators.correcting import standing
from schemas.conversation import Conversation, Verdict
from schemas.record import Record


def finished(record: Record, conversation: Conversation) -> Verdict:
    """Refuses when any reply that was not corrected was cut (`truncated`) or ended otherwise (`unfinished`)."""
    for _, reply in standing(conversation.asks):
        if reply.finish_reason != "stop":
            reason = "truncated" if reply.finish_reason == "length" else "unfinished"
            return Verdict("finish", False, reason, reply.finish_reason)
    return Verdict("finish", True)
