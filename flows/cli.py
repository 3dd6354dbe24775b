"""The command line: `calabash`."""

import sys
from typing import Final

import typer
from rich.console import Console

from flows.commands import cleaning, config_check, foresee, look, make, replies, sharing, snapshots
from schemas.errors import PipelineError

app: Final = typer.Typer(
    name="calabash",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Regenerate a medical training corpus from public data.

    Start with `calabash run --all`. Exit codes: 0 done, 1 a problem was found or a bug, 2 configuration,
    3 source, 4 teacher, 5 corpus, 6 policy.""",
)
config_app: Final = typer.Typer(no_args_is_help=True, help="Check pipeline.toml.")
app.add_typer(config_app, name="config")
app.add_typer(replies.app, name="replies")

app.command()(make.run)
app.command()(make.plan)
app.command()(make.preview)
app.command()(foresee.forecast)
app.command()(look.status)
app.command()(look.runs)
app.command()(look.stats)
app.command()(look.show)
app.command()(look.reproduce)
app.command()(look.verify)
app.command()(snapshots.snapshot)
app.command()(snapshots.diff)
app.command()(snapshots.gc)
app.command()(cleaning.dedup)
app.command()(cleaning.decontaminate)
app.command()(cleaning.takedown)
app.command()(sharing.card)
app.command()(sharing.export)
app.command()(sharing.push)
app.command()(sharing.rehydrate)
config_app.command("check")(config_check.check)

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it (128 + SIGINT)."""


def main() -> None:
    """Run the command line; every expected error ends in one message and its own exit code."""
    try:
        app()
    except PipelineError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {_escaped(str(error))}", highlight=False)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer's own ending for Ctrl-C, without a word
            Console(stderr=True).print("stopped; what was committed stays, and the next run goes on from there")
        raise


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


if __name__ == "__main__":
    main()
