"""Reply logs by block of records, so that a task reads the logs of its own records and no others."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from teachers.replay.log import ReplyLog

if TYPE_CHECKING:
    from teachers.replay.mirror import Mirror

BLOCK_RECORDS: Final = 4_096
"""Records of a source's shard whose replies share a folder; a full-size task touches one or two."""


class Replies:
    """The reply logs of one shard of one source; each block is opened when a record of it first asks.

    A reply is found by the record's position and the request's content, however tasks are cut.
    """

    def __init__(self, root: Path, source: str, shard: str, mirror: "Mirror | None" = None) -> None:
        self._root = root
        self._source = source
        self._shard = shard
        self._mirror = mirror
        self._logs: dict[int, ReplyLog] = {}

    def __enter__(self) -> "Replies":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for log in self._logs.values():
            log.close()

    def of(self, position: int) -> ReplyLog:
        """The log for the record at `position` (0 for the shard's first)."""
        block = position // BLOCK_RECORDS * BLOCK_RECORDS
        if block not in self._logs:
            self._logs[block] = ReplyLog(self._root, self._source, f"{self._shard}-{block:09d}", self._mirror)
        return self._logs[block]

    def prepare(self, start: int, stop: int) -> None:
        """Open the logs of the records from `start` to before `stop`; for a thread, since a mirror may be slow."""
        for position in range(start // BLOCK_RECORDS * BLOCK_RECORDS, stop, BLOCK_RECORDS):
            self.of(position)

    def compact(self) -> None:
        """Compress what was written here, once its task is committed. CorpusError when the disk refuses."""
        for log in self._logs.values():
            log.compact()
