"""PyTorch over a feed: plain loaders give the feed's own steps, with any workers and from any step."""

from pathlib import Path
from typing import Any

import datasets
import pytest

import corpus
from corpus.changing.taking import take_snapshot
from corpus.commit.shards import Limits
from corpus.layout import VIEW
from corpus.reader import Feed, Mixture
from schemas.errors import ConfigError
from tests.support.corpora import commit
from tests.support.samples import make_samples, make_task

torch_data = pytest.importorskip("torch.utils.data")

from training.feeding import FeedDataset, RowSampler, StepSampler  # noqa: E402  # it imports torch


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    tasks = [make_task(start, start + 40) for start in (0, 40)]
    for task in tasks:
        commit(folder, task, make_samples(task.start, task.stop, split="train"), limits=Limits(batch_rows=5))
    take_snapshot(folder, tasks)
    return folder


def feed_of(root: Path, **more: Any) -> Feed:
    rows = corpus.open(root)
    parts = {"text": rows.filter(modality="text"), "ct": rows.filter(modality="CT"), "mri": rows.filter(modality="MRI")}
    return Feed(Mixture.epochs(parts, {"text": 1, "ct": 2, "mri": 1}), 4, window_bytes=12_000, **more)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def rows_loader(feed: Feed, **more: Any) -> Any:
    """Collating receives the rows of a step, whatever the loader calls a batch."""
    return torch_data.DataLoader(FeedDataset(feed), sampler=StepSampler(feed), collate_fn=ids, **more)


def view_loader(root: Path, feed: Feed, **more: Any) -> Any:
    view = datasets.load_from_disk(str(root / VIEW)).select_columns(["id"])
    return torch_data.DataLoader(view, batch_sampler=RowSampler(feed), collate_fn=ids, **more)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(("rank", "world"), [(0, 1), (1, 2)])
def test_loaders_give_the_feeds_own_steps(root: Path, num_workers: int, rank: int, world: int) -> None:
    feed = feed_of(root, rank=rank, world=world)
    expected = [ids(rows) for rows in feed]
    loader = rows_loader(feed, num_workers=num_workers)
    assert len(loader) == len(feed) == 16
    assert list(loader) == expected
    assert list(view_loader(root, feed_of(root, rank=rank, world=world), num_workers=num_workers)) == expected
    unbatched = rows_loader(feed_of(root, rank=rank, world=world), num_workers=num_workers, batch_size=None)
    assert list(unbatched) == expected


def test_a_loader_goes_on_from_a_state_with_other_workers_and_ranks(root: Path) -> None:
    whole = [ids(rows) for rows in feed_of(root)]
    begun, state = iter(rows_loader(feed_of(root), num_workers=2)), feed_of(root).state(5)
    assert [next(begun) for _ in range(5)] == whole[:5]
    ranks = [feed_of(root, rank=rank, world=2).resume(state) for rank in (0, 1)]
    assert [a + b for a, b in zip(*map(rows_loader, ranks), strict=True)] == whole[5:]
    resumed = feed_of(root)
    samplers = StepSampler(resumed), RowSampler(resumed)
    resumed.resume(state)  # a sampler looks when it is iterated
    assert [len(sampler) for sampler in samplers] == [11, 11]
    assert list(samplers[0]) == list(range(5, 16))
    assert list(view_loader(root, resumed, num_workers=1)) == whole[5:]


def test_images_come_out_of_workers_as_bytes(root: Path) -> None:
    feed = feed_of(root, columns=["id", "images"])
    (rows, *_) = torch_data.DataLoader(FeedDataset(feed), sampler=StepSampler(feed), collate_fn=list, num_workers=1)
    pictures = [image["bytes"] for row in rows for image in row["images"]]
    assert pictures and all(isinstance(data, bytes) and data.startswith(b"\x89PNG") for data in pictures)


def test_a_workers_share_of_a_feed_is_refused(root: Path) -> None:
    share = feed_of(root, worker=1, num_workers=2)
    for sampler in (StepSampler, RowSampler):
        with pytest.raises(ConfigError, match="one of 2 workers'"):
            sampler(share)


@pytest.mark.slow
def test_spawned_workers_give_the_same(root: Path) -> None:
    feed = feed_of(root)
    expected = [ids(rows) for rows in feed]
    assert list(rows_loader(feed, num_workers=2, multiprocessing_context="spawn")) == expected
