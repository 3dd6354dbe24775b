"""A little server as a program, with the ways of a big one: children, slow starts, crashes, last words."""

import argparse
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLEEP = [sys.executable, "-I", "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-I",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]


class Handler(BaseHTTPRequestHandler):
    """/health as `--health` says, /v1/models with 200, /v1/environment with what the server sees."""

    health = 200

    def do_GET(self) -> None:
        body = "\n".join(f"{name}={value}" for name, value in os.environ.items()).encode()
        self.send_response(self.health if self.path == "/health" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--health", type=int, default=200)
    parser.add_argument("--say", default="")
    parser.add_argument("--start-s", type=float, default=0.0)
    parser.add_argument("--exit", type=int)
    parser.add_argument(
        "--children", action="store_true", help="one in the group, one in a session of its own, one deaf"
    )
    parser.add_argument("--exit-unless", type=Path, help="end with 9 when this file is not there")
    parser.add_argument("--hang-unless", type=Path, help="never be ready when this file is not there")
    settings = parser.parse_args()
    print(settings.say, flush=True)
    time.sleep(600 if settings.hang_unless and not settings.hang_unless.exists() else settings.start_s)
    if settings.exit is not None or (settings.exit_unless and not settings.exit_unless.exists()):
        sys.exit(9 if settings.exit is None else settings.exit)
    if settings.children:
        subprocess.Popen(SLEEP)
        subprocess.Popen(SLEEP, start_new_session=True)
        deaf = subprocess.Popen(DEAF, stdout=subprocess.PIPE)
        assert deaf.stdout is not None
        deaf.stdout.readline()
    Handler.health = settings.health
    ThreadingHTTPServer(("127.0.0.1", settings.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
