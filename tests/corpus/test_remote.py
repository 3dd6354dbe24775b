"""A corpus far away: read once into a bounded cache, ahead, in any process, through cuts and broken copies."""

import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest
from obstore.store import S3Store

import corpus
from corpus.manifest.places import Places
from corpus.manifest.snapshot import read_snapshot
from corpus.store import cache as store_cache
from corpus.store import remote
from corpus.store.files import LocalFiles, files_of
from corpus.store.ranges import Range
from corpus.store.remote import RemoteFiles
from schemas.errors import ConfigError, CorpusError
from tests.support.corpora import make_corpus, tree
from tests.support.object_store import s3_server

FILES = {"data/a.arrow": bytes(range(256)) * 400, "data/b.arrow": b"b" * 50_000, "manifest/LATEST": b"v000001"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that is read as if it were far away."""
    folder = tmp_path / "far"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAITS_S", (0.01, 0.01))


def far(root: Path, cache_bytes: int = 1 << 20, num_ahead: int = 2) -> RemoteFiles:
    return RemoteFiles(f"file://{root}", root.with_name("cache"), cache_bytes, num_ahead)


def kept(root: Path) -> list[Path]:
    return [path for path in root.with_name("cache").iterdir() if path.suffix != store_cache.CLAIM]


@contextmanager
def counted(files: RemoteFiles, slow: float = 0.0) -> Iterator[list[Range]]:
    """What is fetched from the store."""
    fetched: list[Range] = []
    ranges = files._process().ranges
    real: Callable[[Range], pa.Buffer] = ranges._fetch

    def fetch(wanted: Range) -> pa.Buffer:
        fetched.append(wanted)
        time.sleep(slow)
        return real(wanted)

    ranges._fetch = fetch
    yield fetched


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_reads_as_local_files_do(root: Path) -> None:
    near, there = LocalFiles(root), far(root)
    assert [(one.path, one.bytes) for one in there.list("data")] == [(one.path, one.bytes) for one in near.list("data")]
    assert there.list("nothing") == []
    for path, data in FILES.items():
        assert (there.read(path), there.size(path)) == (data, len(data))
        for offset, length in ((0, 10), (7, 100), (0, len(data)), (len(data) - 5, 50), (len(data) + 5, 50), (3, 0)):
            ours, theirs = there.buffer(path, offset, length), near.buffer(path, offset, length)
            assert ours.to_pybytes() == theirs.to_pybytes() == data[offset : offset + length]


@pytest.mark.parametrize("ask", ["read", "size", "buffer"])
def test_what_is_not_there_is_said_in_one_line(root: Path, ask: str) -> None:
    there = far(root)
    with pytest.raises(FileNotFoundError) as caught:
        there.buffer("data/none", 0, 1) if ask == "buffer" else getattr(there, ask)("data/none")
    assert str(caught.value) == f"there is no file://{root}/data/none"


@pytest.mark.parametrize("url", ["ftp://host/corpus", "https://host/corpus", "s3x://bucket"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be opened: .*begins with s3://"):
        files_of(url).read("manifest/LATEST")


def test_an_endpoint_without_encryption_must_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(ConfigError, match=r"http://127\.0\.0\.1:1 is not encrypted.*AWS_ALLOW_HTTP"):
        RemoteFiles("s3://bucket/corpus").read("manifest/LATEST")


def test_a_range_is_fetched_once_by_many_threads_and_never_again(root: Path) -> None:
    there, got = far(root), list[bytes]()
    with counted(there, slow=0.1) as fetched:
        ask = lambda: got.append(there.buffer("data/a.arrow", 8, 64).to_pybytes())  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == [FILES["data/a.arrow"][8:72]] * 8
    assert fetched == [("data/a.arrow", 8, 64)]
    with counted(far(root)) as fetched:  # another reader finds the file
        assert far(root).buffer("data/a.arrow", 8, 64).to_pybytes() == got[0]
    assert fetched == []


def test_the_cache_keeps_what_was_used_last_within_its_bound(root: Path) -> None:
    there = far(root, cache_bytes=20_000)
    for k in range(40):
        assert there.buffer("data/a.arrow", k * 1000, 1000).to_pybytes() == FILES["data/a.arrow"][k * 1000 :][:1000]
        assert sum(path.stat().st_size for path in kept(root)) <= 20_000
    again = far(root, cache_bytes=20_000)
    with counted(again) as fetched:
        again.buffer("data/a.arrow", 39_000, 1000)
        again.buffer("data/a.arrow", 0, 1000)
    assert fetched == [("data/a.arrow", 0, 1000)]


def test_processes_share_the_bound(root: Path) -> None:
    code = (
        "import sys; from corpus.store.remote import RemoteFiles\n"
        "there = RemoteFiles(sys.argv[1], sys.argv[2], 30_000)\n"
        "for k in range(100): assert there.buffer('data/a.arrow', k * 1000, 1000).size == 1000\n"
    )
    command = [sys.executable, "-c", code, f"file://{root}", str(root.with_name("cache"))]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert sum(path.stat().st_size for path in kept(root)) <= 30_000 * (1 + 2 / 8)


def test_a_range_over_the_bound_is_read_all_the_same(root: Path) -> None:
    there = far(root, cache_bytes=1000)
    assert there.buffer("data/b.arrow", 0, 50_000).to_pybytes() == FILES["data/b.arrow"]
    assert kept(root) == []


def test_a_cache_that_cannot_be_written_is_named(root: Path) -> None:
    (root / "taken").write_bytes(b"")
    there = RemoteFiles(f"file://{root}", root / "taken" / "cache")
    with pytest.raises(ConfigError, match=r"taken/cache cannot be written.*CALABASH_CACHE"):
        there.buffer("data/a.arrow", 0, 10)


def test_a_full_disk_costs_the_cache_and_not_the_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(UserWarning, match="No space left.*CALABASH_CACHE"):
        assert far(root).buffer("data/a.arrow", 0, 10).to_pybytes() == FILES["data/a.arrow"][:10]
    assert kept(root) == []


def test_the_folder_is_the_users_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CALABASH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_cache.default_folder() == tmp_path / "calabash"
    monkeypatch.setenv("CALABASH_CACHE", str(tmp_path / "other"))
    assert store_cache.default_folder() == tmp_path / "other"


def pieces(count: int, length: int = 1000) -> list[Range]:
    return [("data/a.arrow", k * length, length) for k in range(count)]


def test_ranges_are_there_before_they_are_asked_for(root: Path) -> None:
    there = far(root)
    with counted(there) as fetched:
        there.prefetch(iter(pieces(20)))
        eventually(lambda: len(fetched) == 20 and there._process().ranges._num_flying == 0)
        for path, offset, length in pieces(20):
            assert there.buffer(path, offset, length).to_pybytes() == FILES[path][offset : offset + length]
    assert sorted(fetched) == pieces(20)


def test_reading_ahead_stops_at_half_the_cache_and_keeps_what_was_not_used(root: Path) -> None:
    there = far(root, cache_bytes=20_000, num_ahead=2)
    with counted(there) as fetched:
        there.prefetch(pieces(100))
        eventually(lambda: len(fetched) >= 10 and there._process().ranges._num_flying == 0)
        assert len(fetched) == 10
        for path in kept(root):
            path.unlink()  # as another process would, to make room
        for path, offset, length in pieces(100):
            assert there.buffer(path, offset, length).to_pybytes() == FILES[path][offset : offset + length]
            waiting = there._process().ranges._ahead_bytes
            assert waiting <= 11_000
        eventually(lambda: there._process().ranges._num_flying == 0)
    assert sorted(fetched) == pieces(100)


def test_a_new_plan_takes_the_place_of_the_old_one(root: Path) -> None:
    there = far(root, cache_bytes=10_000, num_ahead=1)
    with counted(there) as fetched:
        there.prefetch(pieces(50))
        eventually(lambda: len(fetched) == 5)
        there.prefetch([("data/b.arrow", 0, 10)])
        eventually(lambda: ("data/b.arrow", 0, 10) in fetched)
    assert len(fetched) <= 7


def test_what_cannot_be_read_ahead_is_an_error_only_for_who_asks(root: Path) -> None:
    there = far(root)
    there.prefetch([("data/none", 0, 10), ("data/b.arrow", 0, 10)])
    assert there.buffer("data/b.arrow", 0, 10).to_pybytes() == b"b" * 10
    with pytest.raises(FileNotFoundError):
        there.buffer("data/none", 0, 10)


def test_a_copy_of_another_size_is_fetched_again(root: Path) -> None:
    far(root).buffer("data/a.arrow", 0, 1000)
    kept(root)[0].write_bytes(b"short")
    assert far(root).buffer("data/a.arrow", 0, 1000).to_pybytes() == FILES["data/a.arrow"][:1000]


def read_pieces(there: RemoteFiles, answers: "multiprocessing.Queue[list[Any]]") -> None:
    answers.put([there.buffer(path, offset, length).to_pybytes() for path, offset, length in pieces(20)])


def test_forked_workers_read_with_the_same_files(root: Path) -> None:
    there = far(root)
    there.prefetch(pieces(30))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    workers = [context.Process(target=read_pieces, args=(there, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert b"".join(answers.get(timeout=60)) == FILES["data/a.arrow"][:20_000]
    for worker in workers:
        worker.join()


@pytest.fixture(scope="module")
def far_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("far") / "corpus"
    make_corpus(folder, 40)
    return folder


def plan_of(places: Places) -> list[Range]:
    return [(places.paths[k], places.entry(k).offset, places.entry(k).length) for k in range(len(places))]


def copied(far_corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(far_corpus, tmp_path / "corpus"))


def test_a_broken_copy_in_the_cache_heals(far_corpus: Path, tmp_path: Path) -> None:
    root = copied(far_corpus, tmp_path)
    places = Places(read_snapshot(far(root)))
    expected = [places.open(k).to_pylist() for k in range(len(places))]
    ranges = places.snapshot.files._process().ranges
    for range_ in plan_of(places):
        path = root.with_name("cache") / ranges._name(range_)
        data = path.read_bytes()
        path.unlink()  # not written in place: this process has it mapped
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    again = Places(read_snapshot(far(root)))
    with counted(again.snapshot.files) as fetched:
        assert [again.open(k).to_pylist() for k in range(len(again))] == expected
    assert fetched == plan_of(places)


def test_a_byte_that_changed_at_the_origin_is_an_error(far_corpus: Path, tmp_path: Path) -> None:
    root = copied(far_corpus, tmp_path)
    places = Places(read_snapshot(far(root)))
    shard, entry = root / places.paths[0], places.entry(0)
    data = bytearray(shard.read_bytes())
    data[entry.offset + 5] ^= 1
    shard.write_bytes(data)
    for _ in range(2):
        with pytest.raises(CorpusError, match=f"{shard.name} is not what was committed: its bytes changed"):
            places.open(0)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory, far_corpus: Path) -> Iterator[str]:
    """A corpus on a real S3 server."""
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as environment, s3_server(folder / "s3", environment) as url:
        store = S3Store("replies", client_options={"allow_http": True})
        for path, data in tree(far_corpus).items():
            obstore.put(store, f"corpora/one/{path}", data)
        yield f"{url}/corpora/one"


class Relay:
    """A proxy to the server in AWS_ENDPOINT_URL that can cut responses, stall or be away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.target = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
        self.cut_after: list[int] = []  # bytes after which each of the next large responses ends
        self.num_cut = 0
        self.is_away = False
        self.listening = socket.create_server(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{self.listening.getsockname()[1]}")
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            if self.is_away:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, True), daemon=True).start()

    def pass_on(self, source: socket.socket, sink: socket.socket, is_response: bool) -> None:
        with source, sink:
            try:
                while data := source.recv(1 << 16):
                    if self.is_away:
                        return
                    if is_response and self.cut_after and len(data) > self.cut_after[0]:
                        sink.sendall(data[: self.cut_after.pop(0)])
                        self.num_cut += 1
                        return
                    sink.sendall(data)
            except OSError:
                return
            finally:
                for one in (source, sink):
                    with suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)


def test_a_corpus_on_s3_opens_as_a_folder_does(
    bucket: str, far_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: None
) -> None:
    monkeypatch.setenv("CALABASH_CACHE", str(tmp_path / "cache"))
    expected = list(corpus.open(far_corpus))
    there = corpus.open(bucket)
    assert there.snapshot.url == bucket
    assert list(there) == expected
    assert there.row(expected[3]["id"]) == expected[3]

    # responses that end early are asked for again
    relay = Relay(monkeypatch)
    relay.cut_after = [2000, 3000, 2500]
    monkeypatch.setenv("CALABASH_CACHE", str(tmp_path / "cache-2"))
    assert list(corpus.open(bucket)) == expected
    assert relay.num_cut == 3

    # a store that goes away in the middle is one clear line, and what was read stays
    monkeypatch.setenv("CALABASH_CACHE", str(tmp_path / "cache-3"))
    there = corpus.open(bucket)
    rows = iter(there)
    assert next(rows) == expected[0]
    relay.is_away = True
    monkeypatch.setattr(remote, "WAITS_S", ())
    with pytest.raises(CorpusError) as caught:
        list(rows)
    said = str(caught.value)
    assert "cannot be read at byte" in said and bucket in said and "\n" not in said
    relay.is_away = False
    assert list(there) == expected


def read_places(places: Places, answers: "multiprocessing.Queue[list[Any]]") -> None:
    answers.put([name for k in range(len(places)) for name in places.open(k).column("id").to_pylist()])


def test_forked_and_spawned_workers_read_from_s3_while_their_parent_does(
    bucket: str, far_corpus: Path, tmp_path: Path
) -> None:
    expected = [row["id"] for row in corpus.open(far_corpus)]
    for method in ("fork", "spawn"):
        there = RemoteFiles(bucket, tmp_path / f"cache-{method}")
        places = Places(read_snapshot(there))
        context = multiprocessing.get_context(method)
        answers = context.Queue()
        workers = [context.Process(target=read_places, args=(places, answers)) for _ in range(3)]
        there.prefetch(plan_of(places))  # requests run while processes are forked
        for worker in workers:
            worker.start()
        for _ in workers:
            assert answers.get(timeout=60) == expected
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
