"""A task's samples on disk, in order, for checks that need the whole task before one row is written."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from tempfile import TemporaryFile
from types import TracebackType

from schemas.sample import Sample


class Spool:
    """Keeps samples in a temporary file and, in `light`, the same samples without their image bytes."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.light: list[Sample] = []

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, sample: Sample) -> None:
        """Append a sample."""
        pickle.dump(sample, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self.light.append(replace(sample, images=()))

    def samples(self) -> Iterator[Sample]:
        """Every sample whole, in the order in which they came."""
        self._file.seek(0)
        for _ in self.light:
            yield pickle.load(self._file)
