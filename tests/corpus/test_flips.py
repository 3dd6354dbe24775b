"""Every byte of a corpus flipped in turn, shards missing, cut, doubled, swapped: named errors, never wrong rows."""

import multiprocessing
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

import corpus
from corpus.audit.verify import verify
from corpus.changing.deriving import derive, place_rows
from corpus.changing.taking import name_snapshot, take_snapshot
from corpus.commit.entries import FileEntry
from corpus.commit.shards import Limits
from corpus.manifest.places import Places
from corpus.manifest.snapshot import read_snapshot
from corpus.sealed import seal, unseal
from corpus.store.files import TOUCHED
from corpus.store.writing import store_of
from schemas.errors import CorpusError
from tests.support.corpora import commit
from tests.support.samples import make_reject, make_sample, make_task

SNAPSHOTS = ("latest", "v1", "v000001")
FLIPS_PER_KIND = 43
Rows = list[list[dict]]


def make(root: Path) -> None:
    """A corpus of every kind of file: two shards, rejects, a derived column, a drop, a name; three snapshots."""
    samples = [make_sample(i, split="train", modality=("CT", None)[i % 2]) for i in range(6)]
    commit(root, make_task(0, 6), samples, [make_reject(9)], limits=Limits(batch_rows=2))
    snapshot = take_snapshot(root, [make_task(0, 6)])
    for kind, name, values in (("column", "num_tokens", {0: 11, 3: 13}), ("drop", "duplicate_of", {2: 0})):
        places = place_rows(Places(snapshot), values)
        table = pa.table({**places, name: pa.array(list(values.values()), pa.int64())})
        snapshot = derive(store_of(root), snapshot, name, kind, {}, table)
    name_snapshot(root, "v1", "v000002")


def read(root: Path, snapshots: Sequence[str] = SNAPSHOTS) -> Rows:
    """Everything that a reader gets of each snapshot; checksums are made again, as in a new process."""
    TOUCHED.clear()
    tables: list[pa.Table] = []
    for name in snapshots:
        opened = corpus.open(root, snapshot=name)
        tables += [opened.to_arrow(), opened.samples(), opened.rejects()]
    return [table.to_pylist() for table in tables]


def outcome(root: Path, snapshot: str, undisturbed: Rows) -> str:
    """What reading comes to: "refused" by name, "harmless", or wrong rows."""
    try:
        return "harmless" if read(root, [snapshot]) == undisturbed else "wrong rows"
    except CorpusError:
        return "refused"


def is_reported(root: Path) -> bool:
    """Whether `verify` of some snapshot reports a problem, or refuses."""
    try:
        return not all(verify(root, name).ok for name in SNAPSHOTS)
    except CorpusError:
        return True


def reads(path: Path) -> str:
    """A snapshot that is read with this file: the latest one names all but older ones and their names."""
    return path.stem if path.stem in ("v000001", "v000002", "v1") else "latest"


def kind_of(path: Path) -> str:
    """What kind of file a path of a corpus is: `"data"`, `"commits"`, `"pointer"` ..."""
    if path.name == "LATEST" or path.parent.name == "names":
        return "pointer"
    return path.parent.name if path.parent.name in ("manifest", "pieces") else path.parts[0]


def committed(root: Path) -> dict[str, list[str]]:
    """Every file that was committed, by kind."""
    kinds: dict[str, list[str]] = {}
    for folder in ("data", "rejects", "commits", "manifest", "derived"):
        for path in sorted(found.relative_to(root) for found in (root / folder).rglob("*") if found.is_file()):
            kinds.setdefault(kind_of(path), []).append(path.as_posix())
    return kinds


def size(root: Path, path: str) -> int:
    return (root / path).stat().st_size


def check(root: Path, flips: Iterable[tuple[str, int, int]]) -> Counter[str]:
    """Flip bytes in turn (file, place, mask): outcomes by kind. A wrong or unreported one fails, naming itself."""
    undisturbed = {name: read(root, [name]) for name in ("v000001", "v000002", "v1", "latest")}
    assert not is_reported(root)
    counts: Counter[str] = Counter()
    for name, place, mask in flips:
        path = root / name
        with path.open("r+b", buffering=0) as handle:
            old = os.pread(handle.fileno(), 1, place)[0]
            os.pwrite(handle.fileno(), bytes([old ^ mask]), place)
            try:
                found = outcome(root, reads(path), undisturbed[reads(path)])
                reported = is_reported(root)
            finally:
                os.pwrite(handle.fileno(), bytes([old]), place)
        what = f"byte {place} of {name}: {old:#04x} -> {old ^ mask:#04x}"
        assert found != "wrong rows", what
        assert reported, f"{what} is {found} and not reported"
        counts[f"{kind_of(Path(name))} {found}"] += 1
    assert read(root, ["latest"]) == undisturbed["latest"]
    return counts


def show(counts: Counter[str]) -> None:
    print("", *(f"{count:7,} {what}" for what, count in sorted(counts.items())), sep="\n")


def test_flipped_bytes_of_every_kind_of_file_are_refused_or_harmless_and_always_reported(tmp_path: Path) -> None:
    make(tmp_path)
    rng = random.Random(7)
    flips: list[tuple[str, int, int]] = []
    for paths in committed(tmp_path).values():
        for path in rng.choices(paths, k=FLIPS_PER_KIND):
            flips.append((path, rng.randrange((tmp_path / path).stat().st_size), 1 << rng.randrange(8)))
    counts = check(tmp_path, flips)
    show(counts)
    assert sum(counts.values()) == FLIPS_PER_KIND * 7


def check_share(root: Path, part: int, num_parts: int) -> Counter[str]:
    """Flip every `num_parts`-th byte, each with a mask that its place decides."""
    make(root)
    flips = [(path, place) for paths in committed(root).values() for path in paths for place in range(size(root, path))]
    rng = random.Random(8)
    masks = [rng.randrange(1, 256) for _ in flips]
    chosen = list(zip(flips, masks, strict=True))[part::num_parts]
    return check(root, ((path, place, mask) for (path, place), mask in chosen))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_byte_flipped_is_refused_or_harmless_and_always_reported(tmp_path: Path) -> None:
    num_parts = os.cpu_count() or 1
    with ProcessPoolExecutor(num_parts, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(check_share, tmp_path / str(n), n, num_parts) for n in range(num_parts)]
        counts = sum((part.result() for part in parts), Counter())
    show(counts)
    assert sum(counts.values()) > 50_000


def first_file(root: Path) -> FileEntry:
    return read_snapshot(root).read_entries()[0].files[0]


def damaged(root: Path, data: bytes) -> str:
    """Give the first shard other bytes: what the reader says; `verify` names the same file."""
    make(root)
    file = first_file(root)
    undisturbed = read(root)
    (root / file.path).unlink()
    (root / file.path).write_bytes(data)
    found = verify(root)
    assert {problem.path for problem in found.problems} == {file.path}
    TOUCHED.clear()
    try:
        assert read(root) == undisturbed
    except CorpusError as error:
        assert file.path in str(error)
        return str(error)
    return "harmless"


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    file = first_file(tmp_path)
    (tmp_path / file.path).unlink()
    with pytest.raises(CorpusError, match=Path(file.path).name):
        read(tmp_path)
    (problem,) = verify(tmp_path).problems
    assert problem.path == file.path and "cannot be read" in problem.what


@pytest.mark.parametrize("num_batches", [0, 1])
def test_a_shard_cut_at_a_batch_boundary_is_named(tmp_path: Path, num_batches: int) -> None:
    make(tmp_path / "whole")
    file = first_file(tmp_path / "whole")
    data = (tmp_path / "whole" / file.path).read_bytes()
    assert "inside what was committed" in damaged(tmp_path / "cut", data[: file.batches[num_batches].offset])


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -9])
def test_a_shard_cut_anywhere_is_named_or_harmless(tmp_path: Path, keep: int) -> None:
    make(tmp_path / "whole")
    data = (tmp_path / "whole" / first_file(tmp_path / "whole").path).read_bytes()
    said = damaged(tmp_path / "cut", data[:keep])
    assert (said == "harmless") == (keep == -1)  # without the end marker's last byte, every row is there


def test_a_shard_whose_batch_is_doubled_is_named(tmp_path: Path) -> None:
    make(tmp_path / "whole")
    file = first_file(tmp_path / "whole")
    data = (tmp_path / "whole" / file.path).read_bytes()
    first = file.batches[0]
    end = first.offset + first.length
    doubled = data[:end] + data[first.offset : end] + data[end:]
    assert "is not what was committed" in damaged(tmp_path / "doubled", doubled)
    twice = data[: first.offset] + 2 * data[first.offset : end] + b"\xff\xff\xff\xff\0\0\0\0"
    damaged(tmp_path / "twice", twice)


def test_a_shard_that_is_there_twice_changes_nothing_and_is_counted(tmp_path: Path) -> None:
    make(tmp_path)
    undisturbed = read(tmp_path)
    path = tmp_path / first_file(tmp_path).path
    shutil.copy(path, path.with_name(path.name.replace("train-", "test-")))
    assert read(tmp_path) == undisturbed
    report = verify(tmp_path)
    assert report.ok and report.unnamed.num_files == 1


def test_two_shards_that_changed_places_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    one, other = (tmp_path / file.path for file in read_snapshot(tmp_path).read_entries()[0].files)
    data, others = one.read_bytes(), other.read_bytes()
    one.write_bytes(others)
    other.write_bytes(data)
    with pytest.raises(CorpusError, match=one.name):
        read(tmp_path)
    assert {tmp_path / problem.path for problem in verify(tmp_path).problems} == {one, other}


def test_a_shard_of_another_schema_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for module in ("corpus.commit.writer", "corpus.commit.opening", "corpus.audit.streams"):
            patch.setattr(f"{module}.SCHEMA_VERSION", 2)
        make(tmp_path)
        assert verify(tmp_path).ok
    with pytest.raises(CorpusError, match="has schema version 2, and this reader knows 1"):
        read(tmp_path)
    assert all("has schema version 2" in problem.what for problem in verify(tmp_path).problems)
    assert {kind_of(Path(problem.path)) for problem in verify(tmp_path).problems} == {"data", "rejects"}


@pytest.mark.parametrize("folder", ["commits", "manifest"])
def test_an_entry_or_snapshot_of_another_format_is_named(tmp_path: Path, folder: str) -> None:
    make(tmp_path)
    path = max((tmp_path / folder).rglob("*.json"))
    path.write_bytes(seal({**unseal(path.read_bytes()), "format": 3}))
    with pytest.raises(CorpusError, match="format"):
        read(tmp_path)
    assert is_reported(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\0\n", b"\xff\xfe\n", b"../../etc\n", b"v999999\n", b"v1\n", b"LATEST\n"])
@pytest.mark.parametrize("path", ["manifest/LATEST", "manifest/names/v1"])
def test_a_pointer_to_no_snapshot_is_named(tmp_path: Path, path: str, data: bytes) -> None:
    make(tmp_path)
    (tmp_path / path).write_bytes(data)
    with pytest.raises(CorpusError):
        read(tmp_path)
    assert is_reported(tmp_path)
