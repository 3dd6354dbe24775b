"""blind: a question that a teacher answers without the picture is not about the picture."""

from generators.choices import normal
from generators.reply import read
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record


def needs_picture(max_share: float) -> Gate:
    """Refuses `answerable-blind`: more than `max_share` of the blind tries hit the gold answer."""

    def check(record: Record, conversation: Conversation) -> Verdict:
        tries = [read(reply, request.schema)[0] for request, reply in conversation.asks if request.role == "blind"]
        gold = normal(conversation.gold or "")
        hits = [value for value in tries if gold and gold in normal(str(value.get("answer", "")))]
        share = len(hits) / len(tries) if tries else 0.0
        if share > max_share:
            return Verdict("blind", False, "answerable-blind", f"{len(hits)} of {len(tries)} tries", share)
        return Verdict("blind", True, score=share if tries else None)

    return check
