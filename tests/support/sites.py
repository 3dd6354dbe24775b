"""A corpus of its own beside an endpoint that counts: what end-to-end tests run, kill and compare."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.kept import asked, kept_requests
from tests.support.pipelines import calabash, start, write_pipeline
from tests.support.serving import serve


@dataclass
class Site:
    """A folder with pipeline.toml, its corpus and its endpoint's log; `seconds` is how long the last run took."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def config(self) -> str:
        return str(self.folder / "pipeline.toml")

    @property
    def log(self) -> Path:
        return self.folder / "endpoint.log"

    @property
    def num_answered(self) -> int:
        """How many requests the endpoint has answered."""
        return asked(self.log).total()

    def run(self, *arguments: str) -> str:
        """Run to the end; standard output."""
        began = time.monotonic()
        done = calabash("run", *arguments, "-c", self.config, check=True, **self.variables)
        self.seconds = time.monotonic() - began
        return done.stdout

    def run_and_kill(self, *arguments: str, num_answers: int, delay: float) -> bool:
        """Run, and `kill -9` it `delay` seconds after so many more answers; whether it was still running."""
        until = self.num_answered + num_answers
        process = start("run", *arguments, "-c", self.config, **self.variables)
        while process.poll() is None and self.num_answered < until:
            time.sleep(0.02)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    @contextmanager
    def nothing_is_asked_again(self) -> Iterator[None]:
        """Fail when a request whose reply is kept now is answered within the block."""
        kept, before = kept_requests(self.corpus), asked(self.log)
        yield
        again = asked(self.log) - before
        assert [request for request in kept if again[request]] == []


@contextmanager
def site(folder: Path, *, samples: int = 6, records_per_task: int = 2, **variables: str) -> Iterator[Site]:
    """A site in `folder`, its endpoint serving until the block ends."""
    folder.mkdir(exist_ok=True)
    with serve(folder / "endpoint.log", "--latency-ms", "30") as url:
        write_pipeline(folder, url, samples=samples, records_per_task=records_per_task)
        yield Site(folder, variables)
