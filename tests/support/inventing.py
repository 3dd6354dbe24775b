"""Replies out of nothing but a prompt: sentences from its words, values that obey a JSON Schema."""

import hashlib
import json
import re
from typing import Any

OPENINGS = ("The image shows", "There is", "This study demonstrates", "The record describes", "We can see")
LINKS = ("with", "and", "near", "beside", "without")
FILLERS = ("structure", "tissue", "contrast", "region", "detail")


def prompt_of(data: dict[str, Any]) -> str:
    """The text of the last user message of a request's body."""
    for message in reversed(data.get("messages", [])):
        if message.get("role") == "user":
            content = message.get("content") or ""
            if isinstance(content, str):
                return content
            return " ".join(part.get("text", "") for part in content)
    return ""


def fact_words(prompt: str) -> list[str]:
    """Words of the prompt's facts: what follows "facts" if it is there, else of all of it; distinct."""
    _, marker, facts = prompt.lower().partition("facts")
    words = re.findall(r"[^\W\d_]{4,}", facts if marker else prompt.lower())
    return list(dict.fromkeys(words)) or list(FILLERS)


class Inventor:
    """Makes values in order; two with the same prompt and seed make the same ones."""

    def __init__(self, prompt: str, seed: str) -> None:
        self.words = fact_words(prompt)
        self.seed = seed
        self.count = 0
        self.root: dict[str, Any] = {}

    def number(self, below: int) -> int:
        """The next number in [0, below)."""
        self.count += 1
        digest = hashlib.sha256(f"{self.seed}:{self.count}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % max(1, below)

    def sentence(self) -> str:
        """One English sentence of the prompt's words."""
        nouns = [self.words[self.number(len(self.words))] for _ in range(3 + self.number(4))]
        body = f" {LINKS[self.number(len(LINKS))]} ".join(("the " + noun) for noun in nouns)
        return f"{OPENINGS[self.number(len(OPENINGS))]} {body}."

    def sentences(self, num: int) -> str:
        """Several sentences."""
        return " ".join(self.sentence() for _ in range(num))

    def text(self, schema: dict[str, Any]) -> str:
        """Sentences of a length between `minLength` and `maxLength` characters."""
        least, most = schema.get("minLength", 1), schema.get("maxLength", 100_000)
        text = self.sentence()
        while len(text) < least:
            text += " " + self.sentence()
        if len(text) <= most:
            return text
        cut = text[:most].rpartition(" ")[0].rstrip(" .,")
        if len(cut) + 1 >= least and cut:
            return cut + "." if len(cut) < most else cut
        return text[:most]

    def value(self, schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
        """A value that obeys `schema` (type, enum, const, bounds, items, anyOf, local $ref)."""
        self.root = root or self.root or schema
        if "$ref" in schema:
            return self.value(self._at(schema["$ref"]))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][self.number(len(schema["enum"]))]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.value(schema[key][self.number(len(schema[key]))])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = kind[self.number(len(kind))]
        return self._of_kind(kind, schema)

    def _of_kind(self, kind: str, schema: dict[str, Any]) -> Any:
        if kind == "object":
            return {name: self.value(each) for name, each in schema.get("properties", {}).items()}
        if kind == "array":
            return self._array(schema)
        if kind == "string":
            return self.text(schema)
        if kind == "boolean":
            return self.number(2) == 1
        if kind in ("integer", "number"):
            least = schema.get("minimum", 0)
            return least + self.number(int(schema.get("maximum", least + 100) - least) + 1)
        return None

    def _array(self, schema: dict[str, Any]) -> list[Any]:
        least = schema.get("minItems", 1)
        most = schema.get("maxItems", max(least, 2))
        num = least + self.number(most - least + 1)
        items: list[Any] = []
        for _ in range(20 * max(1, num)):
            if len(items) >= num:
                break
            item = self.value(schema.get("items", {"type": "string"}))
            if not schema.get("uniqueItems") or json.dumps(item) not in {json.dumps(each) for each in items}:
                items.append(item)
        return items

    def _at(self, reference: str) -> dict[str, Any]:
        here: Any = self.root
        for part in reference.removeprefix("#/").split("/"):
            here = here[part]
        return here
