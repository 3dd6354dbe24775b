"""A corpus on a real S3 server: the same corpus as on a disk, exactly once, through crashes and a bad line."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import corpus
from corpus.audit.verify import verify
from corpus.changing.taking import take_snapshot
from corpus.commit.entries import read_entries
from corpus.commit.writer import TaskWriter
from corpus.manifest.snapshot import list_snapshots, read_snapshot
from corpus.reader.corpus import Corpus
from corpus.store import bucket as buckets
from corpus.store import opening
from corpus.store.bucket import BucketStore
from corpus.store.local import LocalStore
from corpus.store.writing import Store
from schemas.errors import ConfigError, CorpusError
from tests.support.corpora import commit, make_corpus, tree
from tests.support.object_store import bad_line, s3_server
from tests.support.pipelines import said, write_pipeline
from tests.support.racing import finish, start
from tests.support.samples import make_sample, make_samples, make_tallies, make_task
from tests.support.serving import serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a bucket, for as long as this module's tests run."""
    with pytest.MonkeyPatch.context() as patch, s3_server(tmp_path_factory.mktemp("s3") / "weed", patch) as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own."""
    return f"{server}/{request.node.name.replace('[', '-').strip(']')}"


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path) if request.param == "local" else BucketStore(request.getfixturevalue("url"))


def files_of(store: Store) -> dict[str, bytes]:
    """Every data file and file of rejects, by path."""
    paths = [found.path for folder in ("data", "rejects") for found in store.list(folder)]
    return dict(zip(paths, store.read_many(paths), strict=True))


def named_in(store: Store) -> set[str]:
    """Every file that a commit entry names."""
    entries = read_entries(store).values()
    return {file.path for entry in entries for file in (*entry.files, entry.rejects) if file}


def test_any_store_keeps_whole_files_and_gives_a_name_once(store: Store, tmp_path: Path) -> None:
    assert store.create("a/one", b"first") and not store.create("a/one", b"second")
    store.replace("a/two", b"old")
    store.replace("a/two", b"newer")
    (tmp_path / "staged").write_bytes(b"0123456789")
    store.publish(tmp_path / "staged", "b/three")
    assert not (tmp_path / "staged").exists()
    assert [(found.path, found.bytes) for found in store.list("a")] == [("a/one", 5), ("a/two", 5)]
    assert abs(store.list("a")[0].modified - time.time()) < 60
    assert list(store.read_many(["a/two", "b/three"])) == [b"newer", b"0123456789"]
    assert store.size("b/three") == 10
    ranges = [store.buffer("b/three", *span).to_pybytes() for span in ((2, 3), (8, 9), (10, 1), (0, 0))]
    assert ranges == [b"234", b"89", b"", b""]
    (found,) = store.list("b")
    assert store.remove_unchanged(found) and not store.remove_unchanged(found)
    store.remove("b/three")
    assert store.list("b") == store.list("never") == []
    for look in (store.read, store.size, lambda path: store.buffer(path, 0, 1)):
        with pytest.raises(FileNotFoundError):
            look("b/never")


def test_a_corpus_on_a_bucket_is_the_corpus_on_a_disk(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = BucketStore(f"{url}/")
    there, here = make_corpus(store, 20), make_corpus(tmp_path, 20)  # type: ignore[arg-type]
    assert there.corpus_sha256 == here.corpus_sha256
    assert files_of(store) == {path: data for path, data in tree(tmp_path).items() if path in files_of(store)}
    assert set(files_of(store)) == named_in(store)
    report = verify(store)
    assert report.ok and report.num_rows == 20, report.problems
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert corpus.open(url).to_arrow().equals(corpus.open(tmp_path).to_arrow())
    assert Corpus(there).to_arrow().equals(Corpus(here).to_arrow())
    assert take_snapshot(store, []).name == "v000001"
    assert not any(store.scratch.iterdir())


def test_a_file_in_parts_is_one_object(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PART_BYTES", 5 << 20)
    store, staged = BucketStore(url), tmp_path / "staged"
    data = random.Random(7).randbytes(11 << 20)
    staged.write_bytes(data)
    store.publish(staged, "data/large")
    assert store.size("data/large") == len(data)
    assert store.buffer("data/large", (5 << 20) - 3, 9).to_pybytes() == data[(5 << 20) - 3 :][:9]


def test_the_first_worker_wins_and_the_losers_objects_go(url: str) -> None:
    store, task = BucketStore(url), make_task(0, 2)
    same = [make_sample(i, split="train") for i in range(2)]
    other = [make_sample(i, split="train", text="Another reply.") for i in range(2)]
    with TaskWriter(store, task) as late, TaskWriter(store, task) as twin:
        for mine, theirs in zip(other, same, strict=True):
            late.add(mine)
            twin.add(theirs)
        with TaskWriter(store, task) as fast:
            for sample in same:
                fast.add(sample)
            first = fast.commit(make_tallies(same), {"host": "fast"})
        before = files_of(store)
        assert late.commit(make_tallies(other), {"host": "late"}) == first
        assert twin.commit(make_tallies(same), {"host": "twin"}) == first
    assert files_of(store) == before
    assert set(before) == named_in(store)


@pytest.mark.slow
def test_racing_processes_commit_every_task_once_and_number_their_snapshots(url: str) -> None:
    workers = [start(url, "race", number) for number in range(4)]
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    store = BucketStore(url)
    names = list_snapshots(store)
    assert names == [f"v{number:06d}" for number in range(1, len(names) + 1)]
    rows = [read_snapshot(store, name).num_rows for name in names]
    assert rows == sorted(set(rows)) and rows[-1] == 30
    assert read_snapshot(store).name == names[-1]
    assert set(files_of(store)) == named_in(store)
    assert verify(store).ok


def check_kills(url: str, calm: Path, num_kills: int, num_tasks: int) -> None:
    """Kill one of two workers again and again, at any moment of what it does; then let the other finish."""
    rng, store = random.Random(num_kills), BucketStore(url)
    other = start(url, "finish", num_tasks)
    for _ in range(num_kills):
        worker = start(url, "finish", num_tasks)
        time.sleep(rng.uniform(0.2, 0.7))  # it begins to write after 0.3 s
        worker.kill()
        worker.communicate()
        if list_snapshots(store):
            newest = verify(store, list_snapshots(store)[-1])
            assert newest.ok, newest.problems
        if other.poll() is not None:
            assert other.returncode == 0
    other.communicate()
    assert other.returncode == 0
    names = list_snapshots(store)
    assert names == [f"v{number:06d}" for number in range(1, len(names) + 1)]
    assert finish(url, num_tasks) == finish(str(calm), num_tasks)
    assert verify(store).ok
    assert named_in(store) <= set(files_of(store))


def test_one_of_two_workers_is_killed_and_the_corpus_is_the_undisturbed_one(url: str, tmp_path: Path) -> None:
    check_kills(url, tmp_path / "calm", num_kills=1, num_tasks=9)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_at_forty_random_moments_gives_the_undisturbed_corpus(url: str, tmp_path: Path) -> None:
    check_kills(url, tmp_path / "calm", num_kills=40, num_tasks=100)


def test_an_entry_whose_answer_was_lost_is_no_loss(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(0, 10)
    lost: list[bytes] = []

    def loses(head: bytes) -> bool:
        target = head.split(b" ")[1]
        if head.startswith(b"PUT") and (b"/commits/" in target or b"/manifest/v" in target) and target not in lost:
            lost.append(target)
            return True
        return False

    with bad_line(monkeypatch, loses=loses) as line:
        store = BucketStore(url)
        with TaskWriter(store, make_task()) as writer:
            for sample in samples:
                writer.add(sample)
            entry = writer.commit(make_tallies(samples), {"host": "here"})
        snapshot = take_snapshot(store, [make_task()])
    assert line.num_lost == 2 and entry.made == {"host": "here"} and snapshot.num_rows == 10
    assert set(files_of(store)) == named_in(store) == {file.path for file in entry.files}
    assert verify(BucketStore(url)).ok


def test_a_slow_store_is_asked_many_things_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [make_task(i, i + 1) for i in range(20)]
    for task in tasks:
        commit(BucketStore(url), task, make_samples(task.start, task.stop))  # type: ignore[arg-type]
    with bad_line(monkeypatch, delay_s=0.05) as line:
        entries = read_entries(BucketStore(url))
        assert list(entries) == sorted(task.fingerprint for task in tasks)
        assert line.at_most >= 8


def test_a_store_that_is_away_for_a_while_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with bad_line(monkeypatch) as line:
        store = BucketStore(url)
        commit(store, make_task(0, 5), make_samples(0, 5))  # type: ignore[arg-type]
        line.is_cut = True
        threading.Timer(0.5, lambda: setattr(line, "is_cut", False)).start()
        commit(store, make_task(5, 10), make_samples(5, 10))  # type: ignore[arg-type]
        assert not line.is_cut
    assert len(read_entries(BucketStore(url))) == 2


def test_a_store_that_never_answered_is_a_plain_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FIRST_S", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        CorpusError, match=rf"^cannot write to the corpus at {url}: {url}/data/.*error sending request$"
    ):
        commit(BucketStore(url), make_task(0, 1), make_samples(0, 1))  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match=f"the commit entries of {url} cannot be read: .*error sending request"):
        read_entries(BucketStore(url))


def test_wrong_credentials_are_named_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(CorpusError, match="refuses these credentials; give them the right to list, read and write"):
        commit(BucketStore(url), make_task(0, 1), make_samples(0, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["ftp://host/corpus", "http://host/corpus", "s3://", "memory:///x"])
def test_a_url_that_names_no_store_is_a_plain_error(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r'corpus = .*give a folder, or a prefix such as "s3://bucket/prefix"'):
        BucketStore(wrong)


class _Careless(BaseHTTPRequestHandler):
    """A store that takes every put and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_store_that_ignores_the_condition_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Careless) as careless:
        threading.Thread(target=careless.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{careless.server_port}")
        with pytest.raises(OSError, match=r"ignores If-None-Match.*use a store with conditional puts"):
            BucketStore(url).create("commits/x.json", b"{}")
        careless.shutdown()


@pytest.fixture
def pipeline(url: str, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """The command line over a pipeline.toml whose corpus is on the bucket."""
    with serve(tmp_path / "endpoint.log") as endpoint:
        path = write_pipeline(tmp_path, endpoint, samples=3)
        path.write_text(path.read_text().replace('corpus = "corpus"', f'corpus = "{url}"\nwork = "work"'))
        yield lambda *arguments: said(*arguments, "-c", str(path))


def test_the_command_line_works_on_a_corpus_that_is_on_a_bucket(
    pipeline: Callable[..., str], url: str, tmp_path: Path
) -> None:
    table = json.loads(pipeline("run", "captioning", "--source", "pydicom-images", "--no-server", "--json"))
    assert table["snapshot"] == "v000001"
    status = json.loads(pipeline("status", "--json"))
    assert status["corpus"] == url and status["snapshots"] == ["v000001"]
    assert status["flows"][0]["num_done"] == 2 and not (tmp_path / "corpus").exists()
    assert json.loads(pipeline("stats", "--json"))["snapshot"] == "v000001"
    opened = Corpus(read_snapshot(BucketStore(url)))
    (first, *_) = opened.to_pandas()["id"]
    assert json.loads(pipeline("show", first, "--json"))["id"] == first
    assert pipeline("verify").startswith("sound")
    again = pipeline("run", "captioning", "--source", "pydicom-images", "--no-server")
    assert again.startswith("Nothing to do") and url in again
    (record,) = json.loads(pipeline("runs", "--json"))
    assert record["exit"] == 0
    for kept in (tmp_path / "work" / "replies").rglob("*"):
        if kept.is_file():
            kept.unlink()  # the machine is lost: the bucket has the replies too
    assert pipeline("reproduce", first).startswith("same")
