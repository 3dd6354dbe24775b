"""Asking through a server's batch queue."""
