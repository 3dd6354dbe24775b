"""Servers that the run starts itself: a command of pipeline.toml, watched, restarted and stopped with the run."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from schemas.errors import TeacherError
from schemas.pipeline import Teacher
from teachers.fleet.breaker import GO_ON
from teachers.serving import command, readiness

KEEPER: Final = Path(__file__).with_name("keeper.py")

GRACE_S: Final = 10.0
"""Seconds in which a server that is told to end may finish, before it is killed."""

RESTART_AFTER_S: Final = (0.5, 5.0, 30.0)
"""The pauses before the restarts within one window, in seconds: memory of a crashed GPU process takes a while."""

WINDOW_S: Final = 600.0
"""Restarts older than this, in seconds, count no more."""

NUM_LINES: Final = 8
"""So many last lines of the log are shown with an error."""


class Server(Protocol):
    """A server that is the run's own: an embedded model or a served command."""

    @property
    def fault(self) -> str | None:
        """Why it is down for good; None while it is up, starting or being restarted."""
        ...

    async def start(self) -> str:
        """Its base URL once it answers. ConfigError or TeacherError when it does not start."""
        ...

    async def stop(self) -> None:
        """End it and everything it started; harmless when it never started."""
        ...


def log_of(folder: Path, name: str) -> Path:
    """Where the server of teacher `name` writes what it says, below `folder`."""
    return folder / "logs" / f"{quote(name, safe=' ')}.log"


class Served:
    """The server of a teacher with `serve`: started, awaited, restarted when it crashes, stopped.

    It ends with this process however that ends, `kill -9` too: a keeper process holds it (teachers/serving/keeper.py).
    What it prints goes to the end of `log`. `withheld` names the variables that hold other teachers' keys:
    the server gets the environment without them. It may finish for `grace_s` seconds when it is told to end.
    """

    def __init__(
        self,
        name: str,
        config: Teacher,
        log: Path,
        *,
        withheld: Collection[str] = (),
        restart_after_s: Sequence[float] = RESTART_AFTER_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self.fault: str | None = None
        self.num_restarts = 0
        self._where = f"teacher {name!r}"
        self._name = name
        self._config = config
        self._log = log
        self._environment = command.environment(withheld)
        self._restart_after_s = restart_after_s
        self._grace_s = grace_s
        self._command: list[str] = []
        self._url = ""
        self._begin = 0
        self._keeper: Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Run the command; its base URL as soon as it answers.

        Raises ConfigError for a command that cannot be, TeacherError with the log's last lines for one that
        ends or is not ready within `serve_timeout_s`.
        """
        self._command, self._url = command.command_and_url(self._name, self._config)
        await readiness.check_nobody_listens(self._where, self._url)
        if words := await self._launch():
            raise TeacherError(f"{words}; {self._last_words()}")
        self._watch = asyncio.create_task(self._restart_when_it_ends())
        return self._url

    async def stop(self) -> None:
        """End the server and everything it started, within twice `grace_s` seconds."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._end()

    async def _launch(self) -> str:
        """Start the command and wait until it answers; "", or why it does not (then it is ended again)."""
        try:
            self._keeper = await self._keep()
        except OSError as error:
            return f"{self._where}: its serve command cannot be started, or {self._log} not be written: {error}"
        words = "it was not waited for"
        try:
            words = await self._wait_until_ready(self._keeper)
        finally:
            if words:
                await self._end()
        return words

    async def _keep(self) -> Process:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._say(f"{self._command[0]} is started")
        self._begin = self._log.stat().st_size
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",  # nothing of the project is on its path
                str(KEEPER),
                str(self._grace_s),
                *self._command,
                stdin=PIPE,  # the kernel closes it when this process dies
                stdout=log,
                stderr=STDOUT,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the run, which still has replies to keep
            )

    async def _wait_until_ready(self, keeper: Process) -> str:
        """ "" as soon as it answers; why not, when it ends or `serve_timeout_s` is over."""
        ended = asyncio.create_task(keeper.wait())
        ready = asyncio.create_task(readiness.until_ready(self._url))
        seconds = self._config.serve_timeout_s
        try:
            await asyncio.wait((ended, ready), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return f"{self._ended(ended.result())} before it was ready"
            if ready.done():
                return ""
            return (
                f"{self._where}: its serve command does not answer at {self._url} within serve_timeout_s = "
                f"{seconds:g} s; give it longer, or see why"
            )
        finally:
            ended.cancel()
            ready.cancel()

    async def _restart_when_it_ends(self) -> None:
        """Start the server again each time it ends, until it has ended too often."""
        restarts: deque[float] = deque()
        words = ""
        while True:
            assert self._keeper is not None
            words = words or self._ended(await self._keeper.wait())
            while restarts and time.monotonic() - restarts[0] > WINDOW_S:
                restarts.popleft()
            if len(restarts) == len(self._restart_after_s):
                break
            self._say(f"{words}; it is started again")
            await asyncio.sleep(self._restart_after_s[len(restarts)])
            restarts.append(time.monotonic())
            self.num_restarts += 1
            words = await self._launch()
        self._say(f"{words}; it is given up")
        self.fault = (
            f"{words}; it is given up after {len(restarts)} restarts within {WINDOW_S / 60:g} minutes; {GO_ON}; "
            f"{self._last_words()}"
        )

    async def _end(self) -> None:
        """Let the keeper end the server; a keeper that does not is killed, which kills the server."""
        keeper = self._keeper
        if keeper is None or keeper.returncode is not None:
            return
        assert keeper.stdin is not None
        keeper.stdin.close()  # before any await: a second Ctrl-C may come
        try:
            await asyncio.wait_for(keeper.wait(), 2 * self._grace_s + 2)
        except TimeoutError:
            keeper.kill()
            await keeper.wait()

    def _say(self, words: str) -> None:
        """A line of our own in the server's log. Never the command: its arguments may hold what is secret."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        with suppress(OSError), self._log.open("a", encoding="utf-8") as log:  # a full disk must not end the watch
            log.write(f"[calabash {stamp}] {words}\n")

    def _ended(self, code: int) -> str:
        return f"{self._where}: its serve command ({self._command[0]}) ended with {command.exit_words(code)}"

    def _last_words(self) -> str:
        secret = command.secret_of(self._config)
        return readiness.last_words(self._log, self._begin, NUM_LINES, secret)
