"""Kept replies: on disk the moment they arrive, found by the content of what was asked."""
