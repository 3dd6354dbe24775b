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


def text(row: Row, column: str | None, columns: Columns) -> str:
    """A value as stripped text; empty for a column that is not named, absent, null or a placeholder."""
    value = row.get(column) if column else None
    shown = "" if value is None else str(value).strip()
    return "" if shown in columns.placeholders else shown


def texts(row: Row, column: str | None, columns: Columns) -> list[str]:
    """A value that may be one text or a list of them."""
    value = row.get(column) if column else None
    if not isinstance(value, list):
        one = text(row, column, columns)
        return [one] if one else []
    parts = (str(part).strip() for part in cast("list[Any]", value))
    return [part for part in parts if part and part not in columns.placeholders]


def facts(row: Row, columns: Columns) -> Facts:
    """Everything that the publisher says in this row."""
    metadata = {name: text(row, column, columns) for name, column in columns.metadata.items()}
    return Facts(
        caption=text(row, columns.caption, columns),
        report=text(row, columns.report, columns),
        labels=tuple(texts(row, columns.labels, columns)),
        metadata={name: value for name, value in metadata.items() if value},
        question=question(row, columns),
        conversation=conversation(row, columns),
    )


def question(row: Row, columns: Columns) -> Question | None:
    """The row's question; None where it has none. Options may be a list or a mapping of letters to texts.

    An answer that is an option's letter is read as that option. Refusal for an answer that is no option.
    """
    stem, gold = text(row, columns.question, columns), text(row, columns.answer, columns)
    if not stem or not gold:
        return None
    value = row.get(columns.options) if columns.options else None
    if isinstance(value, dict):
        lettered = {str(key): str(option) for key, option in cast("dict[Any, Any]", value).items()}
        gold, options = lettered.get(gold, gold), tuple(lettered.values())
    else:
        options = tuple(texts(row, columns.options, columns))
        gold = _by_letter(gold, options)
    if options and gold not in options:
        raise Refusal("answer-not-an-option", f"{len(options)} options")
    return Question(stem, gold, options, text(row, columns.explanation, columns))


def conversation(row: Row, columns: Columns) -> tuple[tuple[str, str], ...]:
    """Turns as (role, text), from `{role, content}` or `{from, value}` objects."""
    turns = row.get(columns.conversation) if columns.conversation else None
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


def hints(row: Row, said: Facts, columns: Columns, defaults: TagDefaults) -> Hints:
    """The row's own tags, the dataset's where the row has none, and the text that the lexicon reads."""
    stem = said.question.stem if said.question else ""
    gold = said.question.gold if said.question else ""
    modality = _tag(text(row, columns.modality, columns), Modality, columns.modalities, "modality")
    system = _tag(text(row, columns.organ_system, columns), OrganSystem, columns.organ_systems, "organ system")
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


def _tag(value: str, kind: type[Tag], mapped: Mapping[str, Tag], what: str) -> Tag | None:
    """The publisher's string as one of ours; a string that is not mapped is refused, never guessed."""
    if not value:
        return None
    if value in mapped:
        return mapped[value]
    try:
        return kind(value)
    except ValueError:
        raise Refusal(f"unmapped-{what.replace(' ', '-')}", f"{value[:40]!r}: map it in [columns]") from None


def _by_letter(gold: str, options: tuple[str, ...]) -> str:
    index = ord(gold.upper()) - ord("A") if len(gold) == 1 else -1
    return options[index] if gold not in options and 0 <= index < len(options) else gold
