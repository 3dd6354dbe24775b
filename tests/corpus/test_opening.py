"""Opening a record batch: what is checked, what an older or newer version is, what is said when it fails."""

import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.commit import opening
from corpus.commit.entries import BatchEntry, FileEntry
from corpus.commit.opening import open_batch
from corpus.commit.shards import ShardSet
from corpus.store import files as store_files
from corpus.store.files import LocalFiles
from schemas.arrow import REJECT_SCHEMA, SAMPLE_SCHEMA, SCHEMA_VERSION
from schemas.errors import CorpusError
from tests.support.corpora import commit
from tests.support.samples import make_samples, make_task


@pytest.fixture
def shard(tmp_path: Path) -> tuple[Path, FileEntry]:
    entry = commit(tmp_path, make_task(), make_samples(0, 10, modality="CT", split="train"))
    (file,) = entry.files
    return tmp_path, file


def read(root: Path, file: FileEntry, **changes: int) -> pa.RecordBatch:
    return open_batch(LocalFiles(root), file.path, SCHEMA_VERSION, replace(file.batches[0], **changes))


def test_a_batch_is_opened_without_a_copy(shard: tuple[Path, FileEntry]) -> None:
    root, file = shard
    before = pa.total_allocated_bytes()
    batch = read(root, file)
    assert (batch.num_rows, batch.schema) == (10, SAMPLE_SCHEMA)
    assert pa.total_allocated_bytes() == before


def test_every_flipped_byte_of_a_batch_is_named(shard: tuple[Path, FileEntry]) -> None:
    root, file = shard
    path, place = root / file.path, file.batches[0]
    whole = path.read_bytes()
    for at in range(place.offset, place.offset + place.length, 37):
        # another name, because a process checks a batch once and a mapped file must not change
        other = root / f"flipped-{at}.arrow"
        other.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(CorpusError, match=f"flipped-{at}.arrow is not what was committed: its bytes changed"):
            open_batch(LocalFiles(root), other.name, SCHEMA_VERSION, place)


def test_the_checksum_is_computed_once_in_a_process(
    shard: tuple[Path, FileEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, file = shard
    computed: list[int] = []
    real = store_files.zlib.crc32
    monkeypatch.setattr(store_files.zlib, "crc32", lambda data: (computed.append(1), real(data))[1])
    batches: list[pa.RecordBatch] = []
    read(root, file)
    threads = [threading.Thread(target=lambda: batches.append(read(root, file))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1 and len(batches) == 8


def test_a_batch_that_was_found_broken_is_found_broken_again(shard: tuple[Path, FileEntry]) -> None:
    root, file = shard
    for _ in range(2):
        with pytest.raises(CorpusError, match="bytes changed, between"):
            read(root, file, crc32=1)


@pytest.mark.parametrize("cut", ["inside", "before", "empty"])
def test_a_cut_shard_is_named_with_the_byte_where_it_ends(shard: tuple[Path, FileEntry], cut: str) -> None:
    root, file = shard
    place, path = file.batches[0], root / file.path
    size = {"inside": place.offset + place.length // 2, "before": place.offset - 8, "empty": 0}[cut]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorpusError, match=rf"{path.name} ends at byte [0-9,]+, inside what was committed; restore it"):
        read(root, file)


def test_a_missing_shard_and_one_that_cannot_be_read_are_told_apart(shard: tuple[Path, FileEntry]) -> None:
    root, file = shard
    with pytest.raises(CorpusError, match="is missing; restore it from a copy"):
        open_batch(LocalFiles(root), "data/none.arrow", SCHEMA_VERSION, file.batches[0])
    (root / "folder.arrow").mkdir()
    with pytest.raises(CorpusError, match=r"cannot be read at byte [0-9,]+: .*folder"):
        open_batch(LocalFiles(root), "folder.arrow", SCHEMA_VERSION, file.batches[0])


def test_a_place_that_holds_no_batch_of_as_many_rows_is_refused(shard: tuple[Path, FileEntry]) -> None:
    root, file = shard
    with pytest.raises(CorpusError, match=r"holds 10 rows at byte .*, not 11"):
        read(root, file, rows=11)
    data = (root / file.path).read_bytes()
    place = BatchEntry(0, 64, 10, store_files.zlib.crc32(data[:64]), 0, {})
    with pytest.raises(CorpusError, match="holds no record batch of this schema at byte 0"):
        open_batch(LocalFiles(root), file.path, SCHEMA_VERSION, place)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
def test_an_unknown_schema_version_is_refused_before_anything_is_read(tmp_path: Path, version: int) -> None:
    with pytest.raises(CorpusError, match=f"schema version {version}, and this reader knows 1 to {SCHEMA_VERSION}"):
        open_batch(LocalFiles(tmp_path), "none.arrow", version, BatchEntry(0, 1, 1, 0, 0, {}))


ADDED = {SCHEMA_VERSION + 1: {"sample": ("pass_rate", "asks")}, SCHEMA_VERSION + 2: {"sample": ("gold",)}}


@pytest.mark.parametrize(
    ("version", "lacking"),
    [
        (SCHEMA_VERSION, {"pass_rate", "asks", "gold"}),
        (SCHEMA_VERSION + 1, {"gold"}),
        (SCHEMA_VERSION + 2, set[str]()),
    ],
)
def test_a_shard_of_an_older_version_is_read_with_nulls_for_what_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, lacking: set[str]
) -> None:
    monkeypatch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    monkeypatch.setattr(opening, "ADDED_IN", ADDED)
    opening.schema_of.cache_clear()
    older = pa.schema([field for field in SAMPLE_SCHEMA if field.name not in lacking])
    shards = ShardSet(tmp_path, "old", older)
    rows = [sample.row() for sample in make_samples(0, 5)]
    for row in rows:
        shards.add(row)
    (staged,) = shards.finish()
    batch = open_batch(LocalFiles(tmp_path), staged.path.name, version, staged.batches[0])
    opening.schema_of.cache_clear()
    assert batch.schema.equals(SAMPLE_SCHEMA, check_metadata=True)
    expected = pa.RecordBatch.from_pylist([{**row, **dict.fromkeys(lacking)} for row in rows], schema=SAMPLE_SCHEMA)
    assert batch.to_pylist() == expected.to_pylist()


def test_columns_that_samples_gained_do_not_move_those_of_rejects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "ADDED_IN", {SCHEMA_VERSION + 1: {"sample": ("text",)}})
    opening.schema_of.cache_clear()
    assert opening.schema_of(SCHEMA_VERSION, REJECT_SCHEMA).names == REJECT_SCHEMA.names
    opening.schema_of.cache_clear()
