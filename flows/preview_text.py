"""The preview in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from flows.preview import Preview


def print_previews(console: Console, previews: Sequence[Preview]) -> None:
    """Record, prompt, reply and verdicts of each previewed record."""
    for number, preview in enumerate(previews, 1):
        name = f"{preview.record.source} / {preview.record.id}" if preview.record else "unreadable record"
        console.rule(f"{number}. {escape(name)}", align="left")
        for request, reply in preview.asked:
            for turn in request.turns:
                console.print(f"[bold]{turn.role}[/] ({request.role}): {escape(turn.text)}", highlight=False)
            kept = ", kept" if reply.replayed else ""
            console.print(f"[bold]reply[/] ({reply.teacher}{kept}): {escape(reply.content)}", highlight=False)
        for sample in preview.outcome.samples:
            console.print(f"[green]kept[/] {escape(sample.id)}: passed {len(sample.verdicts)} checks")
        for reject in preview.outcome.rejects:
            console.print(f"[red]rejected[/] {escape(reject.reason)}: {escape(reject.detail)}")
