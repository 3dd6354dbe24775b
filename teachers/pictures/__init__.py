"""Frames in requests: shrunk to what the teacher looks at, inside the request or as files."""
