"""From a row of any table to the fields of a record, by the entry's column names."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from schemas.record import Facts, Hints, Question
from schemas.taxonomy import Modality, OrganSystem
from sources.base import Refusal
from sources.entry import Columns, TagDefaults

Row = Mapping[str, Any]
Tag = TypeVar("Tag", Modality, OrganSystem)

SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}


def value_of(row: Row, column: str | None) -> Any:
    """A column's value; a name with dots that is no column is a key inside a key. None where there is none."""
    if not column or column in row:
        return row.get(column) if column else None
    value: Any = row
    for key in column.split("."):
        value = cast("Row", value).get(key) if isinstance(value, dict) else None
    return value


def text(row: Row, column: str | None, columns: Columns) -> str:
    """A value as stripped text, a list's parts as lines; empty where it is not named, absent, null or a placeholder."""
    value = value_of(row, column)
    if isinstance(value, list):
        return "\n".join(texts(row, column, columns))
    shown = "" if value is None else str(value).strip()
    return "" if shown in columns.placeholders else shown


def texts(row: Row, column: str | None, columns: Columns) -> list[str]:
    """A value that may be one text or a list of them."""
    value = value_of(row, column)
    if not isinstance(value, list):
        one = text(row, column, columns)
        return [one] if one else []
    parts = (str(part).strip() for part in cast("list[Any]", value))
    return [part for part in parts if part and part not in columns.placeholders]


def facts(row: Row, columns: Columns, asked: Question | None) -> Facts:
    """Everything that the publisher says in this row; `asked` is its question, if it has one."""
    metadata = {name: text(row, column, columns) for name, column in columns.metadata.items()}
    return Facts(
        caption=text(row, columns.caption, columns),
        report=text(row, columns.report, columns),
        labels=tuple(texts(row, columns.labels, columns)),
        metadata={name: value for name, value in metadata.items() if value},
        question=asked,
        conversation=conversation(row, columns),
    )


def conversation(row: Row, columns: Columns) -> tuple[tuple[str, str], ...]:
    """Turns as (role, text), from `{role, content}` or `{from, value}` objects."""
    turns = value_of(row, columns.conversation)
    if not isinstance(turns, list):
        return ()
    roles = {"human": "user", "gpt": "assistant"}
    out: list[tuple[str, str]] = []
    for turn in cast("list[Any]", turns):
        if not isinstance(turn, dict):
            raise Refusal("broken-row", "a turn of the conversation is no object")
        said = cast("dict[str, Any]", turn)
        role = str(said.get("role") or said.get("from") or "")
        out.append((roles.get(role, role), str(said.get("content") or said.get("value") or "")))
    return tuple(out)


def hints(row: Row, said: Facts, columns: Columns, defaults: TagDefaults, lenient: bool = False) -> Hints:
    """The row's own tags, the dataset's where the row has none, and the text that the lexicon reads.

    Refusal for a tag that is neither ours nor mapped; `lenient` leaves it out instead.
    """
    stem = said.question.stem if said.question else ""
    gold = said.question.gold if said.question else ""
    modality = _tag(text(row, columns.modality, columns), Modality, columns.modalities, "modality", lenient)
    system = _tag(text(row, columns.organ_system, columns), OrganSystem, columns.organ_systems, "organ system", lenient)
    parts = (said.caption, said.report, *said.labels, stem, gold)
    return Hints(
        modality=modality or defaults.modality,
        organ_system=system or defaults.organ_system,
        scope=defaults.scope,
        text=" ".join(part for part in parts if part),
    )


def split(row: Row, columns: Columns) -> Literal["train", "validation", "test"] | None:
    """The publisher's own split; None where there is none. Refusal for a name that is no split."""
    name = text(row, columns.split, columns)
    if not name:
        return None
    if name.lower() not in SPLITS:
        raise Refusal("unknown-split", name[:40])
    return cast("Literal['train', 'validation', 'test']", SPLITS[name.lower()])


def _tag(value: str, kind: type[Tag], mapped: Mapping[str, Tag], what: str, lenient: bool) -> Tag | None:
    """The publisher's string as one of ours; a string that is not mapped is refused, never guessed."""
    if not value:
        return None
    if value in mapped:
        return mapped[value]
    try:
        return kind(value)
    except ValueError:
        if lenient:
            return None
        raise Refusal(f"unmapped-{what.replace(' ', '-')}", f"{value[:40]!r}: map it in [columns]") from None
