"""Prefect's settings for this project, put into the environment before Prefect is imported."""

import os
from typing import Final

from flows.code_hash import ROOT

SETTINGS: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_HOME": str(ROOT / ".prefect"),
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # the default 20 s fails on a busy machine
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",  # the default 1 loses task runs in a burst
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "500",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the command line speaks for itself
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
}
"""Measured defaults; a variable that is already set wins. Nothing is sent to anyone."""


def prepare() -> None:
    """Set what the user has not set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def find_server() -> None:
    """Prepare, and make sure that there is a server: the one that Prefect's settings name, or one of this run's.

    Prefect would start one by itself, but a killed run leaves that one behind for ever.
    """
    prepare()
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        from flows.own_server import start_own_server

        os.environ["PREFECT_API_URL"] = start_own_server()
        refresh_global_settings_context()
