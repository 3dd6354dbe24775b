"""Kept replies: every reply is on disk the moment it arrives, and answers the same request for ever."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from schemas.ask import Reply, Request
from teachers.answer import ServerFacts
from teachers.replay.compaction import compact
from teachers.replay.index import Index
from teachers.replay.line import encode
from teachers.replay.names import folder_of
from teachers.replay.writer import LineWriter

if TYPE_CHECKING:
    from teachers.replay.mirror import Mirror


class ReplyLog:
    """The kept replies of one shard of one source, from every run; new ones go to a file of its own.

    Opening reads what is kept, and with a `mirror` fetches what only the mirror has. No file is made
    before the first `put`.
    """

    def __init__(self, root: Path, source: str, shard: str, mirror: "Mirror | None" = None) -> None:
        self.folder = folder_of(root, source, shard)
        self._source = source
        self._mirror = mirror
        if mirror is not None:
            mirror.open_block(self.folder)
        self._index = Index(self.folder)
        self._writer = LineWriter(self.folder, None if mirror is None else mirror.follow)

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __enter__(self) -> "ReplyLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def num_broken(self) -> int:
        """Lines that could not be read, a torn tail among them: their requests are asked again."""
        return self._index.num_broken

    def get(self, key: str) -> Reply | None:
        """The kept reply to the request with this key, or None."""
        kept = self._index.get(key)
        return None if kept is None else kept.reply()

    def put(self, key: str, request: Request, reply: Reply, server: ServerFacts, flow: str = "") -> None:
        """Keep a reply: in the file when this returns, on the disk within the writer's window.

        `flow` says whom it was paid for. CorpusError when it cannot be written.
        """
        line = encode(key, request, reply, server, flow, self._source)
        path, offset = self._writer.append(line)
        self._index.note(key, path, offset, len(line))

    def refresh(self) -> bool:
        """Look for what other processes have added to this block; whether there was anything.

        Cheap enough to call before every request that is really sent: mostly it is one look at the clock.
        """
        return self._index.refresh()

    def compact(self) -> None:
        """Turn what this log has written into one compressed table; CorpusError when the disk refuses.

        Whatever happens meanwhile, each reply is in the lines, in the table, or in both.
        """
        self._writer.close()
        if self._writer.written:
            compact(self._writer.written, self._mirror)
            self._writer.written = []
            self._index.rebuild()

    def close(self) -> None:
        """Bring everything to the disk; CorpusError when that fails."""
        try:
            self._writer.close()
        finally:
            self._index.close()
            if self._mirror is not None:
                self._mirror.finish(self._writer.written)
