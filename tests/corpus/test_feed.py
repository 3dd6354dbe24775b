"""Feeding a training job: the same rows for any ranks and workers, from any step, or a refusal that says why."""

import json
import pickle
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpus
from corpus.changing.deriving import derive, place_rows
from corpus.changing.taking import take_snapshot
from corpus.commit.shards import Limits
from corpus.manifest.places import Places
from corpus.manifest.snapshot import read_snapshot
from corpus.reader import Feed, Mixture, fork
from corpus.reader.corpus import Corpus
from corpus.store.files import TOUCHED, LocalFiles
from corpus.store.local import LocalStore
from schemas.errors import ConfigError, CorpusError
from tests.support.corpora import commit
from tests.support.samples import make_samples, make_task

NUM_ROWS = 150
WINDOW = 12_000
"""A few batches of five rows."""
SMALL = Limits(batch_rows=5)


def write(root: Path, num_rows: int = NUM_ROWS) -> None:
    tasks = [make_task(start, start + 50) for start in range(0, num_rows, 50)]
    for task in tasks:
        commit(root, task, make_samples(task.start, task.stop, split="train"), limits=SMALL)
    take_snapshot(root, tasks)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write(folder)
    return folder


def mixture(root: Path) -> Mixture:
    """Two passes over pictures and one over texts, of one corpus."""
    rows = corpus.open(root)
    parts = {"ct": rows.filter(modality="CT"), "mri": rows.filter(modality="MRI"), "text": rows.filter(modality=None)}
    return Mixture.epochs(parts, {"ct": 2, "mri": 1, "text": 1.5})


def feed_of(source: Mixture | Corpus, batch_size: int = 12, **more: Any) -> Feed:
    return Feed(source, batch_size, seed=3, columns=["id"], window_bytes=WINDOW, **more)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_an_epoch_has_every_row_once_as_it_was_written(root: Path) -> None:
    written = {s.id: json.loads(json.dumps(s.row(), default=repr)) for s in make_samples(0, NUM_ROWS, split="train")}
    rows = [row for batch in Feed(corpus.open(root), 10, window_bytes=WINDOW) for row in batch]
    assert Counter(ids(rows)) == Counter(list(written))
    for row in rows:
        assert json.loads(json.dumps(row, default=repr)) == written[row["id"]]
    assert ids(rows) != list(written)


def test_two_passes_have_every_row_twice_in_two_orders(root: Path) -> None:
    rows = corpus.open(root).filter(modality="CT")
    twice = Feed(Mixture.epochs({"ct": rows}, {"ct": 2}), len(rows), columns=["id"], window_bytes=WINDOW)
    one, two = map(ids, twice)
    assert sorted(one) == sorted(two) and one != two


def test_draws_that_fill_no_batch_are_left_out(root: Path) -> None:
    feed = feed_of(corpus.open(root), 40)
    assert (len(feed), feed.num_steps, len(list(feed))) == (3, 3, 3)
    with pytest.raises(IndexError):
        feed.batch(3)


TOPOLOGY = st.tuples(st.sampled_from([1, 2, 3, 4, 6, 12]), st.integers(1, 4), st.integers(0, 8))
"""Ranks, workers of each, and how many steps they make before the next topology takes over."""


@settings(deadline=None, max_examples=12)
@given(st.lists(TOPOLOGY, min_size=1, max_size=5), st.booleans())
def test_nothing_is_missing_or_doubled_however_often_ranks_and_workers_change(
    root: Path, topologies: list[tuple[int, int, int]], is_mixed: bool
) -> None:
    check_topologies(root, topologies, is_mixed)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(TOPOLOGY, min_size=1, max_size=12), st.booleans())
def test_nothing_is_missing_or_doubled_in_many_more_changes(
    root: Path, topologies: list[tuple[int, int, int]], is_mixed: bool
) -> None:
    check_topologies(root, topologies, is_mixed)


def check_topologies(root: Path, topologies: list[tuple[int, int, int]], is_mixed: bool) -> None:
    """Read on from where the last topology stopped; every step must be the one of an undisturbed feed."""
    source = mixture(root) if is_mixed else corpus.open(root)
    whole = feed_of(source)
    expected = [ids(batch) for batch in whole]
    state, found = whole.state(0), list[list[str]]()
    for world, num_workers, num_steps in (*topologies, (1, 1, 1000)):
        ranks = [
            [
                feed_of(source, rank=rank, world=world, worker=worker, num_workers=num_workers).resume(state)
                for worker in range(num_workers)
            ]
            for rank in range(world)
        ]
        assert {sum(map(len, workers)) for workers in ranks} == {whole.num_steps - state["step"]}
        iterators = [[iter(feed) for feed in workers] for workers in ranks]
        stop = min(whole.num_steps, state["step"] + num_steps)
        for n in range(stop - state["step"]):
            # a loader takes from its workers in turn
            found.append([one for workers in iterators for one in ids(next(workers[n % num_workers]))])
        state = json.loads(json.dumps(ranks[0][0].state(stop)))
    assert found == expected


def test_a_mixture_takes_exactly_the_rows_it_was_asked_for(root: Path) -> None:
    drawn = Counter(row["modality"] for batch in Feed(mixture(root), 1, columns=["modality"]) for row in batch)
    assert drawn == {"CT": 60, "MRI": 30, None: 45}


def test_a_mixture_without_end_feeds_by_step_and_has_no_length(root: Path) -> None:
    rows = corpus.open(root)
    feed = feed_of(Mixture({"ct": rows.filter(modality="CT"), "mri": rows.filter(modality="MRI")}, {"ct": 3, "mri": 1}))
    assert len(feed.batch(10_000)) == 12
    assert feed.resume(feed.state(10_000)).step == 10_000
    with pytest.raises(ConfigError, match="this mixture has no end"):
        len(feed)


def test_columns_are_projected_and_derived_ones_joined_by_name(tmp_path: Path) -> None:
    write(tmp_path, 50)
    snapshot = read_snapshot(tmp_path)
    table = pa.table({**place_rows(Places(snapshot), range(50)), "num_tokens": pa.array(range(50), pa.int64())})
    derive(LocalStore(tmp_path), snapshot, "lengths", "column", {"by": "test@1"}, table)
    rows = corpus.open(tmp_path)
    number = dict(zip(rows.samples().column("id").to_pylist(), range(50), strict=True))
    picked = Feed(rows.filter(modality="CT"), 5, columns=["num_tokens", "id"], window_bytes=WINDOW)
    found = [row for batch in picked for row in batch]
    assert all(row.keys() == {"id", "num_tokens"} and row["num_tokens"] == number[row["id"]] for row in found)
    assert "num_tokens" not in Feed(rows, 5).batch(0)[0]
    with pytest.raises(ConfigError, match="component 'corpus' has no column 'num_token'; did you mean 'num_tokens'"):
        Feed(rows, 5, columns=["num_token"])


def test_row_numbers_are_those_of_the_rows(root: Path) -> None:
    stored = corpus.open(root).samples().column("id").to_pylist()
    feed = feed_of(mixture(root), rank=1, world=2)
    for step in feed.steps():
        assert [stored[number] for number in feed.row_numbers(step)] == ids(feed.batch(step))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 10, "world": 4}, "a global batch of 10 rows cannot be shared by 4 ranks"),
        ({"batch_size": 0}, "a global batch of 0 rows"),
        ({"rank": 2, "world": 2}, "rank 2 is not one of the 2"),
        ({"worker": 1}, "worker 1 is not one of the 1"),
        ({"batch_size": 151}, "150 rows do not fill one batch of 151"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(root: Path, changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Feed(corpus.open(root), **{"batch_size": 12, **changes})


def test_a_refusal_names_what_differs_and_what_to_do(root: Path, tmp_path: Path) -> None:
    rows = corpus.open(root)
    state = feed_of(rows).state(4)
    write(tmp_path, 100)
    refused = {
        "snapshot was .*; or start another": feed_of(corpus.open(tmp_path)),
        "filter was .* and is .*: filter as then": feed_of(rows.filter(modality="CT")),
        "mixture was .*: give the components, names and weights": feed_of(Mixture.epochs({"all": rows}, {"all": 1})),
        "seed was 3 and is 4: give seed=3": Feed(rows, 12, seed=4, window_bytes=WINDOW),
        "batch was 12 and is 10: give batch_size=12": feed_of(rows, 10),
        "window was 12000 and is 1073741824: give window_bytes=12000": Feed(rows, 12, seed=3),
    }
    for message, feed in refused.items():
        with pytest.raises(CorpusError, match=message):
            feed.resume(state)
    with pytest.raises(CorpusError, match=r"state of step 4: snapshot was \w+@v000001.*snapshot='v000001'"):
        feed_of(corpus.open(tmp_path)).resume(state)


def test_columns_and_blobs_may_change_and_so_may_the_order_of_filters(root: Path) -> None:
    rows = corpus.open(root)
    one = feed_of(rows.filter(modality=["CT", None]).filter(split="train"))
    other = rows.filter(split="train").filter(modality=[None, "CT"])
    again = Feed(other, 12, seed=3, window_bytes=WINDOW, blobs="view", quarantine=True).resume(one.state(2))
    assert ids(again.batch(2)) == ids(one.batch(2))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"step": 3},
        {"step": "3", "order_hash": "x"},
        {"step": 3, "order_hash": "nonsense"},
        {"step": 13},
        {"step": -1},
    ],
)
def test_what_is_no_state_is_refused(root: Path, state: dict[str, Any]) -> None:
    feed = feed_of(corpus.open(root))
    with pytest.raises(ConfigError, match=r"a state is|not the order hash|is not one of this feed's, 0 to 12"):
        feed.resume(
            {
                **(
                    {"order_hash": feed.order_hash}
                    if "step" in state and len(state) == 1 and state["step"] != 3
                    else {}
                ),
                **state,
            }
        )


def test_a_fork_changes_the_mixture_and_says_what_was_seen(root: Path) -> None:
    rows = corpus.open(root)
    old = feed_of(mixture(root))
    new, report = fork(old.state(5), old, feed_of(rows, 10))
    assert report.changed == ("filter", "mixture", "batch") and (report.first, report.step) == (0, 5)
    seen = Counter(name for name, _ in mixture(root).draws(0, 60, 3))
    assert {name: part.rows for name, part in report.seen.items()} == dict(seen)
    assert report.seen["ct"].passes == seen["ct"] / 30
    assert f"ct: {seen['ct']} rows" in str(report) and "from step 5 on another filter, mixture, batch" in str(report)
    assert new.num_steps == 5 + 15
    forked = [ids(batch) for batch in new]
    assert forked == [ids(batch) for batch in feed_of(rows, 10)]

    state = new.state(9)
    again = feed_of(rows, 10).resume(json.loads(json.dumps(state)))
    assert [ids(batch) for batch in again] == forked[4:]
    third, report = fork(state, feed_of(rows, 10), old)
    assert (report.first, report.step, report.seen["corpus"].rows) == (5, 9, 40)
    assert third.state(9)["order_hash"] != feed_of(mixture(root)).state(9)["order_hash"]
    with pytest.raises(ConfigError, match="resume it"):
        fork(old.state(9), feed_of(mixture(root)), feed_of(mixture(root)))
    with pytest.raises(CorpusError, match="mixture was"):
        fork(old.state(9), feed_of(rows), feed_of(rows, 10))


def broken(root: Path, batch: int) -> set[str]:
    """Change a byte of a batch; the ids of its rows."""
    TOUCHED.clear()
    places = corpus.open(root).places
    lost = set(places.open(batch).column("id").to_pylist())
    path, entry = root / places.paths[batch], places.entry(batch)
    data = bytearray(path.read_bytes())
    data[entry.offset + entry.length - 5] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    TOUCHED.clear()
    return lost


@pytest.fixture(params=["one batch at a time", "several"])
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "several":
        monkeypatch.setattr("corpus.reader.component.ALONE_BYTES", 0)


@pytest.mark.usefixtures("_threads")
def test_a_broken_batch_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, 50)
    broken(tmp_path, 3)
    path = corpus.open(tmp_path).places.paths[3]
    with pytest.raises(CorpusError, match=f"{path}.*its bytes changed"):
        list(feed_of(corpus.open(tmp_path), 10))


@pytest.mark.usefixtures("_threads")
def test_a_quarantined_batch_is_named_and_its_rows_are_replaced_by_others_of_the_window(tmp_path: Path) -> None:
    write(tmp_path)
    sound = [one for batch in feed_of(corpus.open(tmp_path), 10) for one in ids(batch)]
    lost = broken(tmp_path, 3)
    feed = feed_of(corpus.open(tmp_path), 10, quarantine=True)
    with pytest.warns(UserWarning, match="quarantined, and other rows read in its place: shard .* its bytes changed"):
        read = [one for batch in feed for one in ids(batch)]
    assert (
        list(feed.quarantined) == [("corpus", 3)]
        and corpus.open(tmp_path).places.paths[3] in feed.quarantined["corpus", 3]
    )
    assert len(lost) == 5 and lost.isdisjoint(read)
    window = 0
    for at, (was, now) in enumerate(zip(sound, read, strict=True)):
        if was not in lost:
            assert now == was
        else:
            bounds = feed._components["corpus"].order.window_at(0, at)
            rest = sound[at + 1 : bounds.stop] + sound[bounds.start : at]
            assert now == next(one for one in rest if one not in lost)
            window += 1
    assert window == 5
    # the same for whoever reads a part of it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [feed_of(corpus.open(tmp_path), 10, quarantine=True, rank=rank, world=2) for rank in (0, 1)]
        assert [one for pair in zip(*parts, strict=True) for batch in pair for one in ids(batch)] == read


def test_a_window_with_nothing_sound_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 50)
    for batch in range(len(corpus.open(tmp_path).places)):
        broken(tmp_path, batch)
    with pytest.raises(CorpusError, match="every batch of a window"), pytest.warns(UserWarning):
        feed_of(corpus.open(tmp_path), 10, quarantine=True).batch(0)


class Unreachable(LocalFiles):
    """Files of a server that has gone away."""

    def buffer(self, path: str, offset: int, length: int) -> pa.Buffer:
        if path.startswith("data/"):
            raise ConnectionError("no route to the store")
        return super().buffer(path, offset, length)


def test_a_batch_that_cannot_be_reached_is_not_put_into_quarantine(root: Path) -> None:
    feed = feed_of(Corpus(read_snapshot(Unreachable(root))), quarantine=True)
    with pytest.raises(CorpusError, match="no route to the store"):
        feed.batch(0)
    assert feed.quarantined == {}


class Fetching(LocalFiles):
    """Files that note what they were told to fetch; a range that is read must be among what they were told last."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.told: list[list[tuple[str, int, int]]] = []
        self.read_unasked: list[str] = []
        self.num_read = 0

    def prefetch(self, ranges: list[tuple[str, int, int]]) -> None:
        self.told.append(list(ranges))

    def buffer(self, path: str, offset: int, length: int) -> pa.Buffer:
        if path.startswith("data/"):
            self.num_read += 1
            if (path, offset, length) not in self.told[-1]:
                self.read_unasked.append(path)
        return super().buffer(path, offset, length)


@pytest.mark.parametrize("is_mixed", [False, True])
def test_files_are_told_of_windows_and_the_next_ones_before_they_are_read(root: Path, is_mixed: bool) -> None:
    files = Fetching(root)
    rows = Corpus(read_snapshot(files))
    parts = {"ct": rows.filter(modality="CT"), "text": rows.filter(modality=None)}
    feed = feed_of(Mixture.epochs(parts, {"ct": 2, "text": 1}) if is_mixed else rows, 5)
    assert len(list(feed)) == (18 if is_mixed else 30)  # steps smaller than a window
    assert files.num_read >= 12 and files.read_unasked == []
    assert 5 < len(files.told) < len(feed)
    order = feed_of(rows, 10)._components["corpus"].order
    places = rows.places
    if not is_mixed:
        first = order.window_at(0, 0)
        batches = first.batches.to_pylist() + order.window_after(0, first).batches.to_pylist()
        assert files.told[0] == [(places.paths[b], places.entry(b).offset, places.entry(b).length) for b in batches]


def test_a_feed_goes_to_another_process_without_what_it_has_open(root: Path) -> None:
    feed = feed_of(mixture(root))
    before = ids(feed.batch(3))
    assert ids(pickle.loads(pickle.dumps(feed)).batch(3)) == before
