"""blind: a question that a teacher answers without the picture is not about the picture."""

from generators.choices import normal
from generators.correcting import SUFFIX, standing
from generators.reply import read
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record


def needs_picture(max_share: float) -> Gate:
    """Refuses `answerable-blind`: more than `max_share` of the blind tries hit the gold answer."""

    def check(record: Record, conversation: Conversation) -> Verdict:
        asks = [ask for ask in standing(conversation.asks) if ask[0].role.removesuffix(SUFFIX) == "blind"]
        tries = [read(reply, request.schema)[0] for request, reply in asks]
        gold = normal(conversation.gold or "")
        hits = [value for value in tries if gold and gold in normal(str(value.get("answer", "")))]
        share = len(hits) / len(tries) if tries else 0.0
        if share > max_share:
            return Verdict("blind", False, "answerable-blind", f"{len(hits)} of {len(tries)} tries", share)
        return Verdict("blind", True, score=share if tries else None)

    return check
