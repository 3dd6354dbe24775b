"""The tables of a piece of a snapshot: its files, record batches, samples and keys, as Parquet, without blobs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.manifest.snapshot import TableFile
from corpus.store.files import Files, checked
from schemas.arrow import SAMPLE_SCHEMA
from schemas.errors import CorpusError

FILES_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("xxh3_128", pa.string()),
        ("license_class", pa.string()),
        ("modality", pa.string()),
        ("split", pa.string()),
        ("schema_version", pa.int32()),
        ("flow", pa.string()),
        ("source", pa.string()),
        ("entry", pa.string()),
        ("num_batches", pa.int32()),
    ]
)
"""`entry` is the fingerprint of the task that committed the file; `modality` is "text" for null."""

BATCHES_SCHEMA: Final = pa.schema(
    [
        ("file", pa.int32()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("rows", pa.int32()),
        ("crc32", pa.uint32()),
        ("blob_bytes", pa.int64()),
        ("cells", pa.map_(pa.string(), pa.int64())),
    ]
)
"""`file` is the row of the piece's files, from 0; a file's batches follow each other in its order."""

SAMPLE_COLUMNS: Final = (
    "flow", "task", "source", "split", "grade", "domain", "language", "modality", "organ_system", "scope",
    "license", "license_class", "answer_type", "num_text_chars", "num_frames", "num_pixels",
)  # fmt: skip
"""The columns of a sample that filters, mixtures and packing need."""

KEY_COLUMNS: Final = ("id", "record_id", "group_id", "content_sha256")
"""What names a sample and its content: large, and read only to look something up."""

SAMPLES_SCHEMA: Final = pa.schema([SAMPLE_SCHEMA.field(name) for name in SAMPLE_COLUMNS])
"""Rows stand in the order of the files, their batches and the rows in them: no place column is needed."""

KEYS_SCHEMA: Final = pa.schema([SAMPLE_SCHEMA.field(name) for name in KEY_COLUMNS])
"""The same rows in the same order as the samples table."""

SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "files": FILES_SCHEMA,
    "batches": BATCHES_SCHEMA,
    "samples": SAMPLES_SCHEMA,
    "keys": KEYS_SCHEMA,
}


def read_table(
    files: Files, table: TableFile, columns: Sequence[str] | None = None, *, are_tags: bool = False
) -> pa.Table:
    """Some columns of a table (None: all), checked and in stored order.

    `are_tags`: strings of few values come as dictionary arrays, in a ninth of the time. Raises CorpusError
    where the file is missing, cut or changed.
    """
    try:
        data = checked(files, table.path, 0, table.bytes, table.crc32)
        # not pq.read_table, which loads pandas where it is installed; one thread, since two would start a pool
        tags = list(columns or ()) if are_tags else None
        with pq.ParquetFile(pa.BufferReader(data), read_dictionary=tags) as opened:
            return opened.read(columns=None if columns is None else list(columns), use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"{files.url}/{table.path} is broken ({error}); restore it from a copy, or open an older snapshot"
        ) from error
