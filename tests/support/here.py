"""The command line in this process: how it ended and what it said, without the seconds of a new interpreter."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from unittest import mock

from flows.cli import main
from flows.progress import WATCHER
from flows.running import BUDGET
from tests.support.pipelines import environment


@dataclass(frozen=True)
class Ended:
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def ended(*arguments: str, **variables: str) -> Ended:
    """Run `calabash ARGUMENTS` to its end."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.dict(os.environ, environment(**variables)),
        mock.patch.object(sys, "argv", ["calabash", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            WATCHER.set(None)
            BUDGET.set(None)
    return Ended(code, out.getvalue(), err.getvalue())
