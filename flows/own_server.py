"""Prefect's server for one run: a process that ends when the run ends, however the run ends."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Final

from flows.code_hash import ROOT
from schemas.errors import PipelineError

GRACE: Final = 10.0
"""Seconds in which a stopping server may write down what it still holds."""

EPHEMERAL: Final = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""What Prefect gives a server that it starts for one run: no pages, and only the services that a run needs."""


def start_own_server() -> str:
    """Start a server on a free loopback port; its API's URL. It is stopped when this process exits.

    Raises PipelineError when it does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, number = listener.getsockname()[1], listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.own_server", str(number)],
            cwd=ROOT,
            env={**os.environ, **EPHEMERAL},
            stdin=subprocess.PIPE,  # the kernel closes it when this process dies, by kill -9 too
            pass_fds=[number],
            start_new_session=True,  # Ctrl-C is for the run, which still has its state to report
        )
    # it closes the standard input and waits; at exit, because Prefect sends its last events at exit too
    atexit.register(process.communicate)
    url = f"http://127.0.0.1:{port}/api"
    _wait(url)
    return url


def _wait(url: str) -> None:
    """Return when the server is healthy: it listens already, so this one request waits for its answer."""
    timeout = float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"])
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout) as answer:
            answer.read()
    except OSError as error:
        home = os.environ["PREFECT_HOME"]
        raise PipelineError(
            f"Prefect's server does not start: {error}; its database is in {home}; "
            "--no-server runs the same flows without Prefect"
        ) from None


def _end_with_the_run() -> None:
    """Wait until our standard input closes, with the run at the latest; then stop."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def main() -> None:
    """Serve on the listening socket whose number is the argument."""
    import uvicorn

    threading.Thread(target=_end_with_the_run, daemon=True).start()
    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
