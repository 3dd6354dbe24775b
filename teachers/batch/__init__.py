"""Asking through a server's batch queue."""

from typing import Final

BATCHES: Final = ".batches"
"""The folder of the journals, below a corpus's `replies`; no source's folder starts with a dot."""
