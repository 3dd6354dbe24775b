"""What one exchange with a server brings: the reply, and what the server said of itself."""

from dataclasses import dataclass

from schemas.ask import Reply


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the server said of itself beside a reply; empty where it said nothing."""

    model: str = ""
    system_fingerprint: str = ""
    version: str = ""


Answer = tuple[Reply, ServerFacts]
"""A reply before it is stamped with who gave it, and the server's facts."""
