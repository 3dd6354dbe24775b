"""PyTorch over `corpus.reader.Feed`: plain `DataLoader`s whose workers hold no state, from any step on.

Rows of the feed, decoded in workers (also from an object store, also spawned):

    feed = Feed(corpus.open(path), 512, rank=rank, world=world).resume(state)
    loader = DataLoader(FeedDataset(feed), sampler=StepSampler(feed), num_workers=8, collate_fn=collate)

Rows of the view that `datasets` maps, which all workers and ranks of a node share:

    rows = datasets.load_from_disk(path + "/.views/all")
    loader = DataLoader(rows, batch_sampler=RowSampler(feed), num_workers=8, collate_fn=collate)

Either way `collate` gets the rows of one step, the n-th item of the loader is step `feed.step + n`, and a checkpoint
keeps `feed.state(step)`. Leave the feed's own `worker` and `num_workers` alone: the loader has its workers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import Dataset, Sampler

from corpus.reader.feed import Feed
from schemas.errors import ConfigError


class FeedDataset(Dataset[list[dict[str, Any]]]):
    """A feed by step: item k is this rank's rows of step k."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def __len__(self) -> int:
        return self.feed.num_steps

    def __getitem__(self, step: int) -> list[dict[str, Any]]:
        return self.feed.batch(step)

    def __getitems__(self, steps: Sequence[int]) -> list[dict[str, Any]]:
        """The rows of some steps, one after the other: what a loader with a batch size of its own asks for."""
        return [row for step in steps for row in self.feed.batch(step)]


class StepSampler(Sampler[int]):
    """The steps of a feed in order, from where it was resumed."""

    def __init__(self, feed: Feed) -> None:
        _whole(feed)
        self._feed = feed

    def __iter__(self) -> Iterator[int]:
        return iter(_whole(self._feed))

    def __len__(self) -> int:
        return len(self._feed)


class RowSampler(Sampler[list[int]]):
    """For each step of a feed, this rank's rows of the snapshot that the view shows, as numbers."""

    def __init__(self, feed: Feed) -> None:
        _whole(feed)
        self._feed = feed

    def __iter__(self) -> Iterator[list[int]]:
        return map(self._feed.row_numbers, _whole(self._feed))

    def __len__(self) -> int:
        return len(self._feed)


def _whole(feed: Feed) -> range:
    """All of a feed's steps. Raises ConfigError where it is one worker's share of them."""
    steps = feed.steps()
    if steps.step != 1:
        raise ConfigError(f"this feed is one of {steps.step} workers'; a DataLoader wants all of it: num_workers=1")
    return steps
