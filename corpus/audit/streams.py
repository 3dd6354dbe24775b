"""Reading a committed file once: every byte hashed, every batch checked against its entry and opened."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import xxhash

from corpus.commit.entries import BatchEntry, FileEntry
from corpus.commit.opening import filled, schema_of
from corpus.commit.shards import END_OF_STREAM
from corpus.store.files import Files
from schemas.arrow import SCHEMA_VERSION

RESTORE: Final = "restore it from a copy of the corpus"


@dataclass
class Stream:
    """One file to be read; `problems` fills while `batches` goes on.

    `looked` are the numbers of the batches to read; None: every byte of the file.
    """

    files: Files
    file: FileEntry
    schema: pa.Schema
    looked: Collection[int] | None
    problems: list[str] = field(default_factory=list[str])

    def batches(self) -> Iterator[tuple[BatchEntry, int, pa.RecordBatch]]:
        """The batches whose bytes are those committed: entry, the file's row that it starts at, rows."""
        if not self._is_measured():
            return
        state = xxhash.xxh3_128()
        first = 0
        if self.looked is None:
            state.update(self._bytes(0, self._start()))
        for number, place in enumerate(self.file.batches):
            if self.looked is None or number in self.looked:
                data = self._buffer(place.offset, place.length)
                state.update(memoryview(data))  # pyright: ignore[reportArgumentType]  # it has the buffer protocol
                batch = self._opened(place, data)
                if batch is not None:
                    yield place, first, batch
            first += place.rows
        if self.looked is None:
            self._check_digest(state)

    def _is_measured(self) -> bool:
        """Whether the file is there, as long as committed, and its batches tile it."""
        file, say = self.file, self.problems.append
        if not 1 <= file.schema_version <= SCHEMA_VERSION:
            say(f"it has schema version {file.schema_version} and this version knows 1 to {SCHEMA_VERSION}: not read")
            return False
        try:
            size = self.files.size(file.path)
        except OSError as error:
            say(f"it cannot be read: {error}; {RESTORE}")
            return False
        if size != file.bytes:
            say(f"it has {size:,} bytes and {file.bytes:,} were committed: it was cut or overwritten; {RESTORE}")
            return False
        offset = self._start()
        for number, batch in enumerate(file.batches):
            if batch.offset != offset:
                say(f"batch {number} starts at byte {batch.offset:,}, where {offset:,} is next")
            offset = batch.offset + batch.length
        if offset + len(END_OF_STREAM) != file.bytes:
            say(f"its batches end at byte {offset:,} of {file.bytes:,}")
        if sum(batch.rows for batch in file.batches) != file.rows:
            say(f"its batches do not add up to the {file.rows} rows that were committed")
        return not self.problems

    def _start(self) -> int:
        """Where the first batch stands: behind the schema, whose metadata was another in an older version."""
        if self.file.schema_version == SCHEMA_VERSION or not self.file.batches:
            return self.schema.serialize().size
        return self.file.batches[0].offset

    def _opened(self, place: BatchEntry, data: pa.Buffer) -> pa.RecordBatch | None:
        where = f"the batch at byte {place.offset:,}"
        if zlib.crc32(data) != place.crc32:  # pyright: ignore[reportArgumentType]  # it has the buffer protocol
            self.problems.append(f"{where} is not what was committed: its bytes changed; {RESTORE}")
            return None
        try:
            batch = pa.ipc.read_record_batch(data, schema_of(self.file.schema_version, self.schema))
            batch.validate(full=True)
        except pa.ArrowException as error:
            self.problems.append(f"{where} is no record batch of this schema: {error}; {RESTORE}")
            return None
        if batch.num_rows != place.rows:
            self.problems.append(f"{where} holds {batch.num_rows} rows and {place.rows} were committed")
        return filled(batch, self.schema)

    def _check_digest(self, state: xxhash.xxh3_128) -> None:
        """The hash over the whole file; a batch that changed has been named already."""
        end = self.file.bytes - len(END_OF_STREAM)
        state.update(self._bytes(end, len(END_OF_STREAM)))
        if state.hexdigest() != self.file.xxh3_128 and not self.problems:
            self.problems.append(
                f"its bytes changed before or behind its batches: xxh3-128 is {state.hexdigest()} and "
                f"{self.file.xxh3_128} was committed; {RESTORE}"
            )

    def _bytes(self, offset: int, length: int) -> bytes:
        return self._buffer(offset, length).to_pybytes()

    def _buffer(self, offset: int, length: int) -> pa.Buffer:
        """A range of the file; empty, and a problem, where it cannot be read."""
        try:
            return self.files.buffer(self.file.path, offset, length)
        except (OSError, pa.ArrowException) as error:
            self.problems.append(f"it cannot be read at byte {offset:,}: {error}; {RESTORE}")
            return pa.py_buffer(b"")
