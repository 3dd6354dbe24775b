"""Servers that the run starts itself, and that end with it."""
