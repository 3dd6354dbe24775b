"""phi: nothing that could identify a patient."""

from generators.gates.said import whole_text
from schemas.conversation import Conversation, Verdict
from schemas.phi import find_phi
from schemas.record import Record


def no_phi(record: Record, conversation: Conversation) -> Verdict:
    """Refuses text that matches a pattern of protected health information; it is never repeated."""
    found = find_phi(whole_text(conversation))
    return Verdict("phi", not found, "phi" if found else "", f"{len(found)} found" if found else "")
