"""refusal: the teacher speaks of itself, of its instructions, or sends the reader to a doctor."""

from generators.refusals import refuses
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record


def no_refusal(whole: bool) -> Gate:
    """Refuses boilerplate in what the assistant says; `whole` looks at the human turns too."""

    def check(record: Record, conversation: Conversation) -> Verdict:
        for message in conversation.messages:
            phrase = refuses(message.text) if whole or message.role == "assistant" else ""
            if phrase:
                return Verdict("refusal", False, "refusal", phrase)
        return Verdict("refusal", True)

    return check
