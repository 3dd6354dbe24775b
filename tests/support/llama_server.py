"""llama.cpp's server with the embedded model as a program: `python -m tests.support.llama_server --port 8191`."""

import argparse
import signal
import sys

from schemas.pipeline import Teacher
from teachers.identity import embedded_model, gguf_of
from teachers.serving.embedded import serve

SAYS_WHAT_IT_ANSWERED = 3
"""The verbosity at which llama.cpp logs the timing of every request that it has answered."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    settings = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # it writes the rest of its log when it ends in order
    config = Teacher(model="embedded:smollm2")
    server = serve(gguf_of("t", embedded_model("t", config)), "smollm2", settings.port, SAYS_WHAT_IT_ANSWERED)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
