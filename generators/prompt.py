"""Prompts are files: a typed TOML header, then system, user and answer sections for jinja2."""

import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from schemas.ask import Turn
from schemas.errors import ConfigError
from schemas.pipeline import Table, unknown, validate

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDER: Final = Path(__file__).parent / "prompts"
_FILE: Final = re.compile(r"\A\+\+\+\n(?P<header>.*?)^\+\+\+\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^# (\w+)[ \t]*$", re.MULTILINE)
_SPECIAL: Final = re.compile(r"[\\^$.|?*+()\[\]{}/]")
_SECTIONS: Final = ("system", "user", "assistant", "answer")


def names() -> tuple[str, ...]:
    """The names of the prompts that come with the project, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


def load_prompt(name_or_path: str) -> "Prompt":
    """A prompt by name or by path (anything with a slash or ending in `.md`).

    ConfigError when there is no such prompt, or its header or sections are not as they must be.
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
    return _parse(path, data)


def _parse(path: Path, data: bytes) -> "Prompt":
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
    sections = _sections(path, text, found.start("body"))
    return Prompt(path.stem, str(path), hashlib.sha256(data).hexdigest(), header, sections)


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


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, StrictUndefined

    made = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    made.filters["literal"] = _literal
    return made


def _literal(text: str) -> str:
    """The `literal` filter: text as a pattern inside a JSON string, so that it matches itself alone."""
    return json.dumps(_SPECIAL.sub(r"\\\g<0>", text))[1:-1]


@functools.lru_cache(maxsize=256)
def _template(source: str, path: str, line: int) -> "Template":
    from jinja2 import TemplateSyntaxError

    try:
        return _environment().from_string(source)
    except TemplateSyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno + line - 1}: {error.message}") from None


def _fill(source: str, path: str, line: int, variables: Mapping[str, object]) -> str:
    from jinja2 import UndefinedError

    try:
        return _template(source, path, line).render(variables).strip()
    except UndefinedError as error:
        inner = error.__traceback__
        at = line
        while inner is not None:
            if inner.tb_frame.f_code.co_filename == "<template>":
                at = line + inner.tb_lineno - 1
            inner = inner.tb_next
        known = ", ".join(sorted(variables))
        raise ConfigError(f"{path}, line {at}: {error.message}; given: {known}") from None


class Header(Table):
    """The typed header of a prompt file.

    `expects` names the variables that the sections may use. `frames` says whether the record's frames
    are sent along. `schema` is a JSON Schema for the reply, itself a template over the same variables.
    `human` are the wordings of the human turn in the training sample.
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
class Prompt:
    """A prompt file as read; `sha256` is of its bytes and goes on every row that it made."""

    name: str
    path: str
    sha256: str
    header: Header
    sections: tuple[Section, ...] = field(repr=False)

    def render(self, **variables: object) -> tuple[Turn, ...]:
        """The turns for a teacher; ConfigError names the file, the variable and the line that lacks one."""
        chosen = self._chosen(variables)
        return tuple(
            Turn(section.kind, _fill(section.text, self.path, section.line, chosen))
            for section in self.sections
            if section.kind != "answer"
        )

    def schema(self, **variables: object) -> Mapping[str, Any] | None:
        """The JSON Schema that the reply must obey, or None when the reply is plain text."""
        if not self.header.reply:
            return None
        text = _fill(self.header.reply, self.path, 1, self._chosen(variables))
        try:
            return cast(Mapping[str, Any], json.loads(text))
        except json.JSONDecodeError as error:
            raise ConfigError(f"{self.path}: the header's reply is not JSON once rendered: {error}") from None

    def human(self, choice: int, **variables: object) -> str:
        """The `choice`-th wording (modulo their number) of the training sample's human turn."""
        if not self.header.human:
            raise ConfigError(f"{self.path}: the header has no 'human' wordings for the sample's human turn")
        wording = self.header.human[choice % len(self.header.human)]
        return _fill(wording, self.path, 1, self._chosen(variables))

    def answer(self, reply: Mapping[str, Any], **variables: object) -> str:
        """The assistant's text made of a parsed reply, by the file's `# answer` section."""
        for section in self.sections:
            if section.kind == "answer":
                filled = {**self._chosen(variables), "reply": reply}
                return _fill(section.text, self.path, section.line, filled)
        raise ConfigError(f"{self.path}: no '# answer' section to turn a reply into a sample")

    def _chosen(self, variables: Mapping[str, object]) -> dict[str, object]:
        missing = [name for name in self.header.expects if name not in variables]
        if missing:
            raise ConfigError(f"{self.path}: expects {unknown('variable', missing[0], variables)}")
        return {name: variables[name] for name in self.header.expects}
