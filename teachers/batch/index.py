"""Which batch has a key: the journals of one folder as this process knows them."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from teachers.batch.journal import Journal, gate, new_journal, read_journals
from teachers.batch.lines import Spool, paid_keys


def sweep(folder: Path, is_kept: Callable[[str], bool]) -> int:
    """Remove the batches whose every answer is kept elsewhere; how many.

    Batches remove themselves, unless a run is killed between keeping its replies and saying so. Safe beside
    running processes.
    """
    num_removed = 0
    for journal in read_journals(folder, ()):
        if journal.results.exists() and all(map(is_kept, paid_keys(journal.results))):
            journal.remove()
            num_removed += not journal.is_there
    return num_removed


class JournalIndex:
    """The journals in `folder` and their keys. One of another endpoint counts once it has its results."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._lock = asyncio.Lock()
        self._is_read = False
        self._journals: dict[str, Journal] = {}
        self._journal_of: dict[str, Journal] = {}

    async def read(self) -> None:
        """Read what other runs left, once; CorpusError when it cannot be read."""
        if self._is_read:
            return
        async with self._lock:
            if not self._is_read:
                self._learn(await asyncio.to_thread(read_journals, self._folder, ()))
                self._is_read = True

    def find(self, key: str) -> Journal | None:
        """The batch that has this key; its files stay until it is forgotten or dropped."""
        journal = self._journal_of.get(key)
        if journal is None or journal.attend():
            return journal
        self.drop(journal)
        return None

    async def register(self, spool: Spool) -> tuple[Spool, Journal | None]:
        """Note and claim a new batch of what no batch has, in this process or another; None when nothing is left.

        The thread that does it is not left alone: once it began, it ends before a cancellation goes on.
        """
        async with self._lock:
            known = tuple(self._journals)
            working = asyncio.ensure_future(asyncio.to_thread(self._register, spool, known))
            try:
                await asyncio.shield(working)
            finally:
                rest, journal, others = await working
                self._learn([*others, *([journal] if journal else [])])
            return rest, journal

    def settle(self, key: str) -> Journal | None:
        """Know that the answer to a key is kept elsewhere, or is none; its batch, if this was its last key."""
        journal = self._journal_of.pop(key, None)
        if journal is None:
            return None
        journal.num_unsettled -= 1
        return journal if journal.num_unsettled == 0 else None

    def drop(self, journal: Journal) -> None:
        """Know a batch no more; its files stay as they are."""
        for key in journal.keys:
            if self._journal_of.get(key) is journal:
                del self._journal_of[key]
        self._journals.pop(journal.name, None)
        journal.release()

    def close(self) -> None:
        """Release every lock."""
        for journal in self._journals.values():
            journal.release()

    def _learn(self, journals: Iterable[Journal]) -> None:
        for journal in journals:
            self._journals[journal.name] = journal
            if self._counts(journal):
                for key in journal.keys:
                    self._journal_of.setdefault(key, journal)

    def _counts(self, journal: Journal) -> bool:
        return journal.url == self._url or journal.results.exists()

    def _register(self, spool: Spool, known: tuple[str, ...]) -> tuple[Spool, Journal | None, list[Journal]]:
        with gate(self._folder):
            others = read_journals(self._folder, known)
            rest = spool.without(key for journal in others if self._counts(journal) for key in journal.keys)
            if not len(rest):
                return rest, None, others
            journal = new_journal(self._folder, self._url, rest)
            journal.write_intent()
            journal.attend()
            return rest, journal, others
