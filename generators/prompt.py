"""Prompts are files: a typed TOML header, then system, user and answer sections for jinja2."""

import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar, cast, overload

from generators.checking import check_is_schema
from generators.shape import Shape, check_named, check_schema, schema_of
from generators.templates import fill
from schemas.ask import Turn
from schemas.errors import ConfigError
from schemas.pipeline import Table, unknown, validate

FOLDER: Final = Path(__file__).parent / "prompts"
_FILE: Final = re.compile(r"\A\+\+\+\n(?P<header>.*?)^\+\+\+\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^# (\w+)[ \t]*$", re.MULTILINE)
_SECTIONS: Final = ("system", "user", "assistant", "answer")

Said = TypeVar("Said", bound=Shape)


def names() -> tuple[str, ...]:
    """The names of the prompts that come with the project, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


@overload
def load_prompt(name_or_path: str) -> "Prompt[Shape]": ...
@overload
def load_prompt(name_or_path: str, shape: type[Said]) -> "Prompt[Said]": ...
def load_prompt(name_or_path: str, shape: type[Shape] = Shape) -> "Prompt[Any]":
    """A prompt by name or by path (anything with a slash or ending in `.md`) whose replies have a shape.

    ConfigError when there is no such prompt, its header or sections are not as they must be, or its
    header's `reply` lacks a field of the shape.
    """
    path = Path(name_or_path)
    if "/" not in name_or_path and path.suffix != ".md":
        path = FOLDER / f"{name_or_path}.md"
        if not path.is_file():
            raise ConfigError(unknown("prompt", name_or_path, names()))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this prompt file: {error.strerror}") from None
    return _parse(path, data, shape)


def _parse(path: Path, data: bytes, shape: type[Said]) -> "Prompt[Said]":
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: a prompt is UTF-8 text: {error}") from None
    found = _FILE.match(text)
    if found is None:
        raise ConfigError(f"{path}: a prompt opens with a TOML header between two lines of +++")
    try:
        header = validate(Header, tomllib.loads(found["header"]), str(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: the header is not valid TOML: {error}") from None
    check_named(shape, header.reply, str(path))
    sections = _sections(path, text, found.start("body"))
    return Prompt(path.stem, str(path), hashlib.sha256(data).hexdigest(), header, sections, shape)


def _sections(path: Path, text: str, start: int) -> tuple["Section", ...]:
    heads = list(_HEADING.finditer(text, start))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head in heads:
        if head[1] not in _SECTIONS:
            line = text.count("\n", 0, head.start()) + 1
            raise ConfigError(f"{path}, line {line}: {unknown('section', head[1], _SECTIONS)}")
    if not any(head[1] == "user" for head in heads):
        raise ConfigError(f"{path}: no '# user' section; a prompt must ask something")
    return tuple(
        Section(cast(Any, head[1]), text[head.end() : end].strip(), _first_line(text, head.end()))
        for head, end in zip(heads, ends, strict=True)
    )


def _first_line(text: str, start: int) -> int:
    """The line of the first character after `start` that is not space."""
    return text.count("\n", 0, start + len(text[start:]) - len(text[start:].lstrip())) + 1


class Header(Table):
    """The typed header of a prompt file.

    `expects` names the variables that the sections may use. `frames` says whether the record's frames
    are sent along. `reply` is a JSON Schema for the reply, itself a template over the same variables;
    without one the schema is that of the generator's `Shape`. `human` are the wordings of the human
    turn in the training sample.
    """

    purpose: str
    language: str = "en"
    expects: tuple[str, ...] = ()
    frames: bool = False
    reply: str = ""
    human: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a prompt file and the line on which its text starts."""

    kind: Literal["system", "user", "assistant", "answer"]
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Prompt(Generic[Said]):
    """A prompt file as read; `sha256` is of its bytes and goes on every row that it made."""

    name: str
    path: str
    sha256: str
    header: Header
    sections: tuple[Section, ...] = field(repr=False)
    shape: type[Said]

    def render(self, **variables: object) -> tuple[Turn, ...]:
        """The turns for a teacher; ConfigError names the file, the variable and the line that lacks one."""
        chosen = self._chosen(variables)
        return tuple(
            Turn(section.kind, fill(section.text, self.path, section.line, chosen))
            for section in self.sections
            if section.kind != "answer"
        )

    def schema(self, **variables: object) -> Mapping[str, Any] | None:
        """The JSON Schema that the reply must obey, or None when the reply is plain text."""
        if not self.header.reply:
            return schema_of(self.shape)
        return _schema(fill(self.header.reply, self.path, 1, self._chosen(variables)), self.path, self.shape)

    def human(self, choice: int, **variables: object) -> str:
        """The `choice`-th wording (modulo their number) of the training sample's human turn."""
        if not self.header.human:
            raise ConfigError(f"{self.path}: the header has no 'human' wordings for the sample's human turn")
        wording = self.header.human[choice % len(self.header.human)]
        return fill(wording, self.path, 1, self._chosen(variables))

    def answer(self, reply: Shape, **variables: object) -> str:
        """The assistant's text made of a reply, by the file's `# answer` section."""
        for section in self.sections:
            if section.kind == "answer":
                filled = {**self._chosen(variables), "reply": reply.model_dump(exclude_unset=True)}
                return fill(section.text, self.path, section.line, filled)
        raise ConfigError(f"{self.path}: no '# answer' section to turn a reply into a sample")

    def _chosen(self, variables: Mapping[str, object]) -> dict[str, object]:
        try:
            return {name: variables[name] for name in self.header.expects}
        except KeyError as error:
            raise ConfigError(f"{self.path}: expects {unknown('variable', error.args[0], variables)}") from None


@functools.lru_cache(maxsize=512)
def _schema(text: str, path: str, shape: type[Shape]) -> Mapping[str, Any]:
    """A rendered header's schema, checked; the same text gives the same object, which nobody changes."""
    try:
        schema: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: the header's reply is not JSON once rendered: {error}") from None
    if not isinstance(schema, dict):
        raise ConfigError(f"{path}: the header's reply must be a JSON Schema, an object; got {text[:60]}")
    checked = cast(Mapping[str, Any], schema)
    check_is_schema(checked, path)
    check_schema(shape, checked, path)
    return checked
