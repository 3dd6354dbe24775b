"""The embedded teacher: llama.cpp's own HTTP server, started in this process and stopped with it."""

from pathlib import Path
from typing import Any, Final

from schemas.errors import TeacherError

NUM_SLOTS: Final = 4
"""Requests decoded side by side; more slots make none of them faster on two cores."""

SLOT_TOKENS: Final = 2_048
"""Tokens of prompt and reply together that one request may have: the model's quality ends there too."""

NUM_THREADS: Final = 1
"""Two threads on a busy two-core machine fall from 25 tokens/s to 1 (they spin while they wait)."""

SILENT: Final = -1
"""The verbosity at which llama.cpp writes nothing to the terminal."""


class EmbeddedServer:
    """A running server; `url` is its base URL on a free loopback port.

    The same request gives the same text whatever ran before or beside it: one thread, one seed, and
    every slot with a cache of its own.
    """

    def __init__(self, gguf: Path, alias: str) -> None:
        import xllamacpp  # pyright: ignore[reportMissingTypeStubs]  # heavy, and only for this teacher

        engine: Any = xllamacpp
        params = engine.CommonParams()
        params.model.path = str(gguf)
        params.model_alias = {alias}
        params.n_ctx, params.n_parallel = NUM_SLOTS * SLOT_TOKENS, NUM_SLOTS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = NUM_THREADS
        params.port, params.warmup, params.ui, params.verbosity = 0, False, False, SILENT
        try:
            self._server: Any = engine.Server(params)
        except RuntimeError as error:
            raise TeacherError(f"the embedded teacher does not start: {error}; {gguf} may be damaged") from None
        self.url = f"{self._server.listening_address}/v1"

    def stop(self) -> None:
        """Stop the server and free the model."""
        self._server = None
