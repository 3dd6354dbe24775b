"""JSON files and lines that notice a changed byte: the SHA-256 of the bytes before it is their end."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def seal(body: Mapping[str, Any]) -> bytes:
    """A JSON object with sorted keys and its own checksum as the last one."""
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, default=dict)
    return _closed(text.removesuffix("}").encode())


def unseal(data: bytes) -> dict[str, Any]:
    """The object of sealed bytes, without its checksum. Raises ValueError where a byte was changed."""
    if data != _closed(data[: -len(_closed(b""))]):
        raise ValueError("its checksum does not match its content")
    found: dict[str, Any] = json.loads(data)  # whatever is closed so is an object, or no JSON
    del found["sha256"]
    return found


def seal_line(text: str) -> bytes:
    """A line of one word, and after a space the first 12 hex characters of its SHA-256."""
    return f"{text} {hashlib.sha256(text.encode()).hexdigest()[:12]}\n".encode()


def unseal_line(data: bytes) -> str:
    """The word of a sealed line. Raises ValueError where a byte was changed."""
    text = data.decode().partition(" ")[0]
    if data != seal_line(text):
        raise ValueError("its checksum does not match its content")
    return text


def _closed(head: bytes) -> bytes:
    """An open JSON object, closed with its own checksum: the same number of bytes is added to any."""
    return head + f', "sha256": "{hashlib.sha256(head).hexdigest()}"}}\n'.encode()
