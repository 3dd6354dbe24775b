"""The embedded teacher: llama.cpp's own HTTP server, started in this process and stopped with it."""

import asyncio
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


def serve(gguf: Path, alias: str, port: int = 0, verbosity: int = SILENT) -> Any:
    """A running llama.cpp server of this process, on a loopback port (0: a free one), until it is dropped.

    The same request gives the same text whatever ran before or beside it: one thread, one seed, and
    every slot with a cache of its own. TeacherError when the file is no model or the port is taken.
    """
    import xllamacpp  # pyright: ignore[reportMissingTypeStubs]  # heavy, and only for this teacher

    engine: Any = xllamacpp
    params = engine.CommonParams()
    params.model.path = str(gguf)
    params.model_alias = {alias}
    params.n_ctx, params.n_parallel = NUM_SLOTS * SLOT_TOKENS, NUM_SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = NUM_THREADS
    params.port, params.warmup, params.ui, params.verbosity = port, False, False, verbosity
    params.endpoint_slots = False  # it shows what is being asked to whoever looks
    try:
        return engine.Server(params)
    except RuntimeError as error:
        raise TeacherError(f"the embedded teacher does not start: {error}; {gguf} may be damaged") from None


class EmbeddedServer:
    """The server of an embedded model, with the face of any server of the run (`teachers.serving.served.Server`)."""

    fault: str | None = None
    """It lives in this process and ends with it, so it is never down alone."""

    def __init__(self, gguf: Path, alias: str) -> None:
        self._gguf = gguf
        self._alias = alias
        self._server: Any = None

    async def start(self) -> str:
        """Load the model; its base URL, on a free loopback port. TeacherError when it does not load."""
        self._server = await asyncio.to_thread(serve, self._gguf, self._alias)
        return f"{self._server.listening_address}/v1"

    async def stop(self) -> None:
        """Stop the server and free the model."""
        last = [self._server]
        self._server = None
        await asyncio.to_thread(last.clear)  # waits for what is being decoded
