"""One row of the corpus, readably."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

Row = Mapping[str, Any]


def spoken(message: Mapping[str, Any]) -> str:
    """A message as one line of text, image parts as `<image>`."""
    parts = ["<image>" if part["type"] == "image" else part["text"] for part in message["content"]]
    return f"{message['role']}: {' '.join(part for part in parts if part)}"


def show_row(console: Console, row: Row) -> None:
    """Conversation, tags, where from, licence, who made it, checks."""
    talk = "\n\n".join(escape(spoken(message)) for message in row["messages"])
    console.print(Panel(talk, title=escape(row["id"]), title_align="left"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, value in _lines(row):
        grid.add_row(name, escape(value))
    console.print(Group(grid))


def _lines(row: Row) -> Iterator[tuple[str, str]]:
    organ = row["organ_system"] or row["scope"]
    also = f" (also {', '.join(row['organ_systems_also'])})" if row["organ_systems_also"] else ""
    yield "tags", f"{row['modality'] or 'text'}, {organ}{also}"
    for evidence in row["tag_evidence"]:
        seen = f"from {evidence['seen']!r}" if evidence["seen"] else ""
        yield (
            "",
            f"{evidence['tag']} = {evidence['value']}: {evidence['step']} {seen} ({evidence['confidence']})",
        )
    yield (
        "task",
        f"{row['flow']} / {row['task']}, {row['language']}, {row['answer_type']}, split {row['split']}",
    )
    if row["gold"]:
        yield "gold", row["gold"]
    yield "grade", row["grade"]
    yield (
        "from",
        f"{row['source']} {row['source_revision']}, record {row['record_id']}, group {row['group_id']}",
    )
    for media in row["media"]:
        yield "media", _media(media)
    yield "license", f"{row['license']} ({row['license_class']})"
    yield "made by", row["generator"]
    for ask in row["asks"]:
        who = f"{ask['teacher']} ({ask['model']}, {ask['revision']})"
        yield "", f"{ask['role']}: {who}, attempt {ask['attempt']}, reply {ask['reply_key'][:12]}"
    if row["pass_rate"] is not None:
        yield "pass rate", f"{row['pass_rate']:.2f}"
    for verdict in row["verdicts"]:
        mark = "passed" if verdict["passed"] else "failed"
        yield (
            "check" if verdict is row["verdicts"][0] else "",
            f"{verdict['gate']}: {mark} {verdict['detail'] or ''}",
        )
    yield "content", f"sha256 {row['content_sha256']}"


def _media(media: Mapping[str, Any]) -> str:
    window = f", window {media['window']}" if media["window"] else ""
    return f"{media['kind']}, {media['count']} frame(s){window}, {media['origin']}, sha256 {media['sha256'][:12]}"
