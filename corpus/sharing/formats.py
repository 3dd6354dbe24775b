"""Writing one file of an export: Parquet, a WebDataset tar, or JSON lines with images beside them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.sharing.rows import WITHHELD

Format = Literal["parquet", "webdataset", "jsonl"]
SUFFIXES: Final[Mapping[str, str]] = {"parquet": "parquet", "webdataset": "tar", "jsonl": "jsonl"}
Batches = Iterable[tuple[list[int], pa.RecordBatch]]
"""Row numbers in the snapshot, and the rows."""

MEDIA_ROWS: Final = 100
"""Rows with images of a row group: a viewer reads one group for a page (huggingface/dataset-viewer#833)."""
TEXT_ROWS: Final = 10_000
GROUP_BYTES: Final = 100_000_000
"""Bytes after which a row group ends (`datasets.config.MAX_ROW_GROUP_SIZE`)."""
CHUNKING: Final = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
"""Content-defined pages (`datasets.config.DEFAULT_CDC_OPTIONS`): the next snapshot's upload sends what changed."""


def write_parquet(path: Path, schema: pa.Schema, batches: Batches, root: Path) -> int:
    """Rows as Parquet with page checksums and page index; images stay uncompressed. Returns the rows."""
    leaves = {leaf: name for name in schema.names for leaf in _leaves(name, schema.field(name).type)}
    blobs = [leaf for leaf, name in leaves.items() if name == "images"]
    rows = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression={leaf: "none" if leaf in blobs else "zstd" for leaf in leaves},
        use_dictionary=[leaf for leaf in leaves if leaf not in blobs],  # pyright: ignore[reportArgumentType]
        column_encoding=dict.fromkeys(blobs, "PLAIN"),
        write_page_checksum=True,
        write_page_index=True,
        use_content_defined_chunking=CHUNKING,
    ) as writer:
        for group in groups(batch for _, batch in batches):
            writer.write_table(group, row_group_size=group.num_rows)
            rows += group.num_rows
    return rows


def groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches cut again into row groups; where they end depends on the rows alone."""
    waiting: list[pa.RecordBatch] = []
    num_rows = num_bytes = 0
    for batch in batches:
        limit = MEDIA_ROWS if has_images(batch) else TEXT_ROWS
        while batch.num_rows:
            part = batch.slice(0, max(limit - num_rows, 1))
            batch = batch.slice(part.num_rows)
            waiting.append(part)
            num_rows, num_bytes = num_rows + part.num_rows, num_bytes + part.nbytes
            if num_rows >= limit or num_bytes >= GROUP_BYTES:
                yield pa.Table.from_batches(waiting)
                waiting, num_rows, num_bytes = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def has_images(batch: pa.RecordBatch) -> bool:
    """Whether any row of a batch has an image in it."""
    images: Any = batch["images"]
    return len(images.flatten()) > 0


def write_webdataset(path: Path, schema: pa.Schema, batches: Batches, root: Path) -> int:
    """Rows as a tar of `<row number>.json` and `<row number>.<image>.png`; the same rows, the same bytes."""
    rows = 0
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for number, row in _each(batches):
            images = row["images"]
            names = [f"{place:03d}.{suffix_of(image['bytes'])}" for place, image in enumerate(images or ())]
            _add(tar, f"{number:010d}.json", _json({**row, "images": None if images is None else names}))
            for name, image in zip(names, images or (), strict=True):
                _add(tar, f"{number:010d}.{name}", image["bytes"])
            rows += 1
    return rows


def write_jsonl(path: Path, schema: pa.Schema, batches: Batches, root: Path) -> int:
    """Rows as JSON lines; `images` are paths below `root`, where an image is named by its SHA-256."""
    rows = 0
    with path.open("wb") as lines:
        for _, row in _each(batches):
            images = row["images"]
            paths = None if images is None else [_put_image(root, image["bytes"]) for image in images]
            lines.write(_json({**row, "images": paths}) + b"\n")
            rows += 1
    os.sync()  # once for all images: an fsync for each takes ten times as long as the rest
    return rows


def suffix_of(data: bytes) -> str:
    """The file ending of an image: shards hold PNG and JPEG."""
    return "png" if data.startswith(b"\x89PNG") else "jpg"


WRITERS: Final = {"parquet": write_parquet, "webdataset": write_webdataset, "jsonl": write_jsonl}


def _each(batches: Batches) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row by row, so that one row's images are in memory at a time; what is withheld nowhere is not named."""
    for numbers, batch in batches:
        for place, number in enumerate(numbers):
            row = batch.slice(place, 1).to_pylist()[0]
            yield number, {name: value for name, value in row.items() if name != WITHHELD.name or value is not None}


def _put_image(root: Path, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    name = f"images/{digest[:2]}/{digest}.{suffix_of(data)}"
    if not (root / name).exists():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        aside = root / f"images/aside-{os.getpid()}"
        aside.write_bytes(data)
        aside.replace(root / name)
    return name


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))


def _json(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """The Parquet leaf columns of an Arrow type."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    return _leaves(f"{path}.list.element", kind.value_type) if pa.types.is_list(kind) else [path]
