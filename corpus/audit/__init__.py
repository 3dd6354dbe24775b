"""Checking and counting what a snapshot holds."""
