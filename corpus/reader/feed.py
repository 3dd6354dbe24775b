"""Feeding a training job: step k is the same rows whatever the number of ranks and workers, from any step on."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from corpus.reader.buffers import Blobs
from corpus.reader.component import LEAST_OPEN, NUM_OPEN, Component, Place, Reading
from corpus.reader.corpus import Corpus
from corpus.reader.mixture import Mixture
from corpus.reader.order import WINDOW_BYTES
from corpus.reader.state import Parts, checked, joined_hash, parts_of, split_hash
from schemas.errors import ConfigError

ALONE: Final = "corpus"
"""The name of a corpus that is fed alone."""


class Feed:
    """Batches of rows: global batch k is draws [k * batch_size, (k + 1) * batch_size) of a mixture.

    A corpus alone is a mixture of one pass over it. Rank r of `world` takes the r-th part of every global
    batch, so all ranks have the same number of steps; draws that fill no batch at the end are left out.
    Iterating gives steps `step`, `step + 1`, ... as lists of rows (`corpus.reader.values.Decoder`; derived
    columns only where `columns` names them); worker w of `num_workers` gives every `num_workers`-th of them,
    from the w-th on. Nothing is remembered between steps.

    `quarantine=True` skips a broken batch instead of raising CorpusError: it is named in `quarantined`
    and warned of, and each of its rows is replaced by the next sound one of its window. Raises ConfigError
    where the numbers do not fit each other, or a column is unknown.
    """

    def __init__(
        self,
        source: Mixture | Corpus,
        batch_size: int,
        *,
        seed: int = 0,
        columns: Sequence[str] | None = None,
        rank: int = 0,
        world: int = 1,
        worker: int = 0,
        num_workers: int = 1,
        quarantine: bool = False,
        blobs: Blobs = "bytes",
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.mixture = source if isinstance(source, Mixture) else Mixture.epochs({ALONE: source}, {ALONE: 1})
        self.batch_size = batch_size
        self.seed = seed
        self.window_bytes = window_bytes
        self._rank, self._world, self._worker, self._num_workers = rank, world, worker, num_workers
        self._check()
        num_open = max(LEAST_OPEN, NUM_OPEN // len(self.mixture.components))
        reading = Reading(None if columns is None else tuple(columns), blobs, quarantine, num_open)
        self._components = {
            name: Component(name, corpus, seed, reading, window_bytes)
            for name, corpus in self.mixture.components.items()
        }
        self.first = 0
        """The step of draw 0: not 0 only behind a fork."""
        self.forked_from: str | None = None
        """The hash of what was fed before the fork."""
        self.step = 0
        """Where iterating starts."""

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        return map(self.batch, self.steps())

    def __len__(self) -> int:
        return len(self.steps())

    @property
    def num_steps(self) -> int:
        """The step behind the last one. Raises ConfigError for a mixture without end."""
        if self.mixture.num_draws is None:
            raise ConfigError("this mixture has no end: make it with num_draws=..., or with Mixture.epochs(...)")
        return self.first + self.mixture.num_draws // self.batch_size

    def steps(self) -> range:
        """The steps that iterating gives, of this worker."""
        return range(self.step + self._worker, self.num_steps, self._num_workers)

    def batch(self, step: int) -> list[dict[str, Any]]:
        """This rank's rows of a step.

        Raises CorpusError where a record batch is broken, IndexError where the feed has no such step.
        """
        located = self._located(step)
        batches: dict[str, list[int]] = {}
        firsts: dict[str, int] = {}
        for name, position, (batch, _) in located:
            firsts.setdefault(name, position)
            batches.setdefault(name, []).append(batch)
        self._fetch(firsts)
        for name, wanted in batches.items():
            self._components[name].ready(wanted)
        return [self._components[name].row(position, *place) for name, position, place in located]

    def row_numbers(self, step: int) -> list[int]:
        """The snapshot's row number of every row of `batch`, without opening one.

        They are rows of the view that `datasets.load_from_disk` opens. Raises ConfigError where the components
        are of several snapshots.
        """
        if len({corpus.snapshot.sha256 for corpus in self.mixture.components.values()}) > 1:
            raise ConfigError("row numbers are of one snapshot, and this mixture has several; read rows from the feed")
        return [self._components[name].number(*place) for name, _, place in self._located(step)]

    @property
    def quarantined(self) -> dict[tuple[str, int], str]:
        """What is wrong with each batch that was skipped, by component and number; it names file and byte."""
        found = ((name, component.quarantined) for name, component in self._components.items())
        return {(name, batch): what for name, broken in found for batch, what in broken.items()}

    @property
    def parts(self) -> Parts:
        """All that decides the order, by name (`corpus.reader.state`)."""
        return parts_of(self.mixture, self.batch_size, self.seed, self.window_bytes, self.first, self.forked_from)

    @property
    def order_hash(self) -> str:
        """All that decides the order, in one line that a person can read."""
        return joined_hash(self.parts)

    def state(self, step: int) -> dict[str, Any]:
        """What a checkpoint keeps when all steps before `step` are done; it names no rank and no worker."""
        return {"step": step, "order_hash": self.order_hash}

    def resume(self, state: Mapping[str, Any]) -> "Feed":
        """Start at the step of a state; returns this feed.

        Raises CorpusError, naming what differs and what to do, where the state is of another order.
        """
        step = checked(state, self.parts)
        before = split_hash(state["order_hash"]).get("fork")
        if before:
            first, self.forked_from = before.split(":")
            self.first = int(first)
        else:
            self.first, self.forked_from = 0, None
        if not self.first <= step or (self.mixture.num_draws is not None and step > self.num_steps):
            raise ConfigError(
                f"step {step:,} of the state is not one of this feed's, {self.first:,} to {self.num_steps:,}"
            )
        self.step = step
        return self

    def _located(self, step: int) -> list[tuple[str, int, Place]]:
        """(component, position, place) of this rank's draws of a step."""
        share = self.batch_size // self._world
        start = (step - self.first) * self.batch_size + self._rank * share
        draws = self.mixture.draws(start, start + share, self.seed)
        spans: dict[str, list[int]] = {}
        for name, position in draws:
            spans.setdefault(name, []).append(position)
        places = {name: iter(self._components[name].places(p[0], p[-1] + 1)) for name, p in spans.items()}
        return [(name, position, next(places[name])) for name, position in draws]

    def _fetch(self, positions: Mapping[str, int]) -> None:
        """Where a component enters a window, have files that can read ahead: all windows that are read, then the next.

        The components of one corpus share its files, and each call takes the place of the one before.
        """
        entered = [self._components[name].enter(position) for name, position in positions.items()]
        if not any(entered):
            return
        shared: dict[int, list[Component]] = {}
        for component in self._components.values():
            shared.setdefault(id(component.corpus.snapshot.files), []).append(component)
        for components in shared.values():
            prefetch = getattr(components[0].corpus.snapshot.files, "prefetch", None)
            if prefetch is not None:
                now, after = zip(*(component.ahead() for component in components), strict=True)
                prefetch([*chain.from_iterable(now), *chain.from_iterable(after)])

    def _check(self) -> None:
        """Raise ConfigError where the numbers do not fit each other."""
        size, world = self.batch_size, self._world
        if size < 1 or world < 1 or size % world:
            raise ConfigError(f"a global batch of {size} rows cannot be shared by {world} ranks: it must be a multiple")
        if not 0 <= self._rank < world:
            raise ConfigError(f"rank {self._rank} is not one of the {world} from 0")
        if not 0 <= self._worker < self._num_workers:
            raise ConfigError(f"worker {self._worker} is not one of the {self._num_workers} from 0")
        num = self.mixture.num_draws
        if num is not None and num < size:
            raise ConfigError(f"{num:,} rows do not fill one batch of {size:,}; ask for a smaller batch_size")
