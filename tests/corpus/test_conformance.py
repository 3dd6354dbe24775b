"""Written by us, read by others: every column equal and every image decoded equal, over all types, nulls and frames."""

import dataclasses
import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasets import concatenate_datasets, load_dataset, load_from_disk
from PIL import Image

import corpus
from corpus.changing.taking import take_snapshot
from corpus.commit.shards import Limits
from schemas.arrow import FEATURES, SAMPLE_SCHEMA
from schemas.sample import Sample, content_sha256
from tests.support.corpora import commit
from tests.support.samples import make_sample, make_task

Row = Mapping[str, Any]
Pixels = list[np.ndarray]
SPLITS = ("train", "validation", "test")


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """An array as PNG or JPEG bytes."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def pictures() -> dict[str, np.ndarray]:
    """Pixels of each kind that a shard may hold: color, gray, 16 bits, with alpha, one pixel, one row."""
    rng = np.random.default_rng(7)
    shapes = {"color": (9, 7, 3), "gray": (8, 5), "alpha": (4, 4, 4), "dot": (1, 1, 3), "line": (1, 300)}
    made = {name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}
    return {**made, "deep": rng.integers(0, 1 << 16, (6, 6), np.uint16)}


def frames(count: int) -> list[bytes]:
    rng = np.random.default_rng(count)
    return [encoded(rng.integers(0, 256, (5, 6), np.uint8), "PNG") for _ in range(count)]


def medium(kind: str, first: int, count: int, **more: Any) -> dict[str, Any]:
    empty = {"times": [], "positions": [], "window": None, "spacing": [], "sha256": None, "origin": None}
    return {"kind": kind, "first": first, "count": count, **empty, **more}


def showing(i: int, images: list[bytes], media: list[dict[str, Any]], texts: tuple[str, ...], **more: Any) -> Sample:
    """A sample with these images, all shown in the first turn, and one turn per text."""
    parts = [{"type": "image", "text": None}] * len(images)
    turns = [
        {"role": ("user", "assistant")[n % 2], "content": [{"type": "text", "text": t}]} for n, t in enumerate(texts)
    ]
    messages = ({"role": turns[0]["role"], "content": [*parts, *turns[0]["content"]]}, *turns[1:])
    hashes = tuple(hashlib.sha256(data).hexdigest() for data in images)
    changes = {
        "messages": messages,
        "images": tuple({"bytes": data, "path": None} for data in images),
        "media": tuple(media),
        "content_sha256": content_sha256(messages, hashes),
        "num_frames": len(images),
    }
    return dataclasses.replace(make_sample(i, num_images=0, split=SPLITS[i % 3]), **{**changes, **more})


def rich_samples() -> list[Sample]:
    """Samples in which every column has a value, a null, an empty list and its extremes somewhere."""
    made = pictures()
    png = {name: encoded(pixels, "PNG") for name, pixels in made.items()}
    jpeg = encoded(made["gray"], "JPEG")
    asked = {
        "role": "teacher", "prompt_sha256": "ab" * 32, "teacher": "t", "model": "m", "revision": "r",
        "seed": 2**62 + 1, "attempt": 2, "reply_key": None,
    }  # fmt: skip
    volume = medium("volume", 0, 5, positions=[0.0, 2.5, 5.0, 7.5, 1e-300], window="lung", spacing=[2.5, 0.7, 0.7])
    video = medium("video", 1, 3, times=[0.0, 0.033, 1e9], sha256="cd" * 32, origin="https://example.org/ö?a=1")
    full: dict[str, Any] = {
        "organ_systems_also": ("Nervous", "Digestive"),
        "tag_evidence": (
            {"tag": "CT", "value": "CT", "step": "dicom", "seen": "0008,0060", "confidence": 0.1 + 0.2},
            {"tag": "CT", "value": "CT", "step": "name", "seen": "", "confidence": None},
        ),
        "gold": "B", "pass_rate": 0.0, "judge_score": -0.0, "asks": (asked, {**asked, "seed": None, "attempt": None}),
        "teacher_license": "MIT", "num_pixels": 2**40, "num_text_chars": 2**31 - 1,
        "verdicts": ({"gate": "g", "passed": False, "detail": "", "score": 5e-324},),
    }  # fmt: skip
    bare: dict[str, Any] = {"modality": None, "verdicts": (), "organ_system": None, "scope": "Whole Body"}
    texts = ("Опишите 🫁 \u202b\u0627\u0644\u0631\u0626\u0629\u202c.\r\n\t\0", "", '\ud7ff\U0010ffff "quoted" \\', "终")
    return [
        showing(0, frames(5), [volume], texts, **full),
        showing(1, [], [], ("", ""), **bare),
        showing(2, [jpeg, *frames(3)], [medium("image", 0, 1), video], texts[:2]),
        *(showing(3 + n, [data], [medium("image", 0, 1)], ("?", "!")) for n, data in enumerate(png.values())),
        *(showing(20 + n, [], [], ("long " * 500, "x"), **bare) for n in range(3)),
    ]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return rich_samples()


@pytest.fixture(scope="module")
def root(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    commit(folder, make_task(0, 99), samples, limits=Limits(batch_rows=2))
    take_snapshot(folder, [make_task(0, 99)])
    return folder


@pytest.fixture(scope="module")
def shards(root: Path) -> list[Path]:
    return sorted((root / "data").rglob("*.arrow"))


@pytest.fixture(scope="module")
def table(shards: list[Path]) -> pa.Table:
    return pa.concat_tables(pa.ipc.open_stream(pa.memory_map(str(path))).read_all() for path in shards)


def written(samples: list[Sample]) -> dict[str, Row]:
    """What was written, by id, with lists for tuples."""
    rows = [sample.row() for sample in samples]
    return {row["id"]: {k: list(v) if isinstance(v, tuple) else v for k, v in row.items()} for row in rows}


def check(rows: Iterable[Row], samples: list[Sample]) -> None:
    """Every column of every row is equal, and every image decodes to the same pixels."""
    wanted = written(samples)
    found = [dict(row) for row in rows]
    assert sorted(row["id"] for row in found) == sorted(wanted)
    for row in found:
        id = row["id"]
        assert list(row) == list(FEATURES)
        for column, value in wanted[id].items():
            assert row[column] == value, (id, column)
        assert [decoded(image["bytes"]).tolist() for image in row["images"]] == pixels(wanted[id])


def check_decoded(rows: Iterable[Row], samples: list[Sample]) -> None:
    """As `check`, of a reader that hands out decoded images."""
    wanted = written(samples)
    num_rows = 0
    for row in rows:
        num_rows += 1
        expected = wanted[row["id"]]
        for column in FEATURES:
            if column != "images":
                assert row[column] == expected[column], (row["id"], column)
        assert [np.asarray(image).tolist() for image in row["images"]] == pixels(expected)
    assert num_rows == len(wanted)


def pixels(row: Row) -> list[Any]:
    return [decoded(image["bytes"]).tolist() for image in row["images"]]


def test_png_images_are_the_pixels_that_went_in(samples: list[Sample]) -> None:
    for name, sample in zip(pictures(), samples[3:9], strict=True):
        assert np.array_equal(decoded(sample.images[0]["bytes"]), pictures()[name]), name


def test_the_samples_hold_every_kind_of_value(table: pa.Table) -> None:
    nullable = [name for name in FEATURES if table.column(name).null_count]
    assert set(nullable) == {"modality", "organ_system", "gold", "pass_rate", "judge_score", "teacher_license"}
    for name, field in zip(table.column_names, table.schema, strict=True):
        if pa.types.is_list(field.type):
            lengths = {len(value) for value in table.column(name).to_pylist()}
            assert max(lengths) > 0 and (0 in lengths or name == "messages"), name


def test_our_own_reader(root: Path, samples: list[Sample]) -> None:
    check(corpus.open(root), samples)
    check(corpus.open(root).to_arrow().to_pylist(), samples)


def test_pyarrow(table: pa.Table, samples: list[Sample]) -> None:
    assert table.schema.equals(SAMPLE_SCHEMA, check_metadata=True)
    table.validate(full=True)
    check(table.to_pylist(), samples)


def test_datasets_map_style(root: Path, samples: list[Sample], tmp_path: Path) -> None:
    splits = load_dataset(str(root), cache_dir=str(tmp_path))
    assert set(splits) == set(SPLITS)
    rows = concatenate_datasets(list(splits.values()))
    check_decoded(rows, samples)
    check(rows.with_format("arrow")[:].to_pylist(), samples)


def test_datasets_streaming(root: Path, samples: list[Sample], tmp_path: Path) -> None:
    splits = load_dataset(str(root), streaming=True, cache_dir=str(tmp_path))
    check_decoded((row for split in splits.values() for row in split), samples)


def test_datasets_load_from_disk(root: Path, samples: list[Sample]) -> None:
    rows = load_from_disk(str(root / ".views/all"))
    check_decoded(rows, samples)
    check(rows.with_format("arrow")[:].to_pylist(), samples)


def test_duckdb(table: pa.Table, samples: list[Sample]) -> None:
    found = duckdb.from_arrow(table)
    check((dict(zip(found.columns, row, strict=True)) for row in found.fetchall()), samples)
    assert duckdb.from_arrow(found.to_arrow_table()).aggregate("count(*), sum(len(images))").fetchall() == [
        (len(samples), sum(len(sample.images) for sample in samples))
    ]


def test_polars(shards: list[Path], table: pa.Table, samples: list[Sample]) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    check(frame.to_dicts(), samples)
    check(pl.concat([pl.read_ipc_stream(path) for path in shards]).to_dicts(), samples)


def homes(table: pa.Table) -> set[str]:
    """Where the bytes of a table are: files that are mapped, or "" for memory of this process."""
    spans: list[tuple[int, int, str]] = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, _, *name = line.split(maxsplit=5)
        first, last = (int(part, 16) for part in span.split("-"))
        spans.append((first, last, name[0] if name and name[0].startswith("/") else ""))
    buffers = [buffer for column in table.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer]
    starts = [first for first, _, _ in spans]
    return {spans[bisect_right(starts, buffer.address) - 1][2] for buffer in buffers if buffer.size}


def test_pyarrow_our_reader_and_load_from_disk_hand_out_the_mapped_file_itself(
    root: Path, shards: list[Path], table: pa.Table
) -> None:
    files = {str(path.resolve()) for path in shards}
    assert homes(table) == files
    assert homes(corpus.open(root).to_arrow()) == files
    assert homes(load_from_disk(str(root / ".views/all")).data.table) == files


def test_a_copy_in_memory_would_be_noticed(shards: list[Path]) -> None:
    assert homes(pa.ipc.open_stream(shards[0].read_bytes()).read_all()) == {""}
