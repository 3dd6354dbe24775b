"""Which items a benchmark holds already: by key, then by wording, then by picture."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Final

import xxhash

from corpus.likeness.gallery import Gallery, chosen
from corpus.likeness.items import WEAK, BenchmarkItem, Drop, Example, Item, Reason, Report
from corpus.likeness.pictures import Look, look
from corpus.likeness.thresholds import Thresholds
from corpus.likeness.wording import Wordings
from schemas.errors import ConfigError

EXAMPLES: Final = 20
"""Removals that a report shows, the first ones in the order of the items."""

_EXCERPT: Final = 160
_NUMBERS: Final = tuple(f.name for f in fields(Thresholds) if f.name not in ("usual", "images"))


def contamination(
    items: Iterable[Item], benchmarks: Sequence[BenchmarkItem], thresholds: Thresholds | None = None
) -> tuple[list[Drop], list[Report]]:
    """The items to drop, in their order, and a report of each benchmark; the same for records and for samples.

    A decision rests on the item and the benchmarks alone. ConfigError for two benchmark items of one name or an
    empty one; CorpusError for a picture that cannot be decoded.
    """
    screen = Screen(benchmarks, thresholds or Thresholds())
    drops = [drop for item in items if (drop := screen.check(item))]
    return drops, screen.reports()


class Screen:
    """Benchmarks, ready to check one item after the other."""

    def __init__(self, benchmarks: Sequence[BenchmarkItem], thresholds: Thresholds) -> None:
        _check_names(benchmarks)
        self.items, self.thresholds = benchmarks, thresholds
        self._by_key: dict[str, int] = {}
        for number, one in enumerate(benchmarks):
            for key in sorted(one.keys):
                if not key.startswith(WEAK):
                    self._by_key.setdefault(key, number)
        self._wordings = Wordings(list(benchmarks))
        self._owners: list[int] = []
        self._gallery = Gallery(self._looks())
        self._candidates: Counter[str] = Counter()
        self._removed: Counter[tuple[str, Reason]] = Counter()
        self._examples: dict[str, list[Example]] = {}

    def check(self, item: Item) -> Drop | None:
        """Why the item may not be trained on, None if it may."""
        for number, reason, score, detail in self._found(item):
            one = self.items[number]
            self._note(item, one, reason, score)
            return Drop(item.number, reason, f"{one.benchmark}/{one.id}", round(score, 4), detail)
        return None

    def reports(self) -> list[Report]:
        """What was checked so far, by benchmark, in their order."""
        sizes = Counter(one.benchmark for one in self.items)
        bounds = self.thresholds
        values = {name: getattr(bounds, name) for name in _NUMBERS}
        for name, image in (("usual", bounds.usual), *sorted(bounds.images.items())):
            values |= {f"hamming, {name}": image.hamming, f"detail, {name}": image.detail}
        return [
            Report(
                name,
                size,
                self._candidates[name],
                {reason: n for (of, reason), n in sorted(self._removed.items()) if of == name},
                values,
                tuple(self._examples.get(name, ())),
            )
            for name, size in sizes.items()
        ]

    def _found(self, item: Item) -> Iterator[tuple[int, Reason, float, str]]:
        """Every reason, the surest first: what is not asked for is not computed."""
        for key in sorted(item.keys):
            if (number := self._by_key.get(key)) is not None:
                self._candidates[self.items[number].benchmark] += 1
                yield number, "benchmark-key", 1.0, f"both are of {key}"
        yield from self._by_wording(item)
        if item.num_pictures and self._owners:
            yield from self._by_picture(item)

    def _by_wording(self, item: Item) -> Iterator[tuple[int, Reason, float, str]]:
        likes, compared = self._wordings.likest(item.text, self.thresholds)
        self._candidates.update(self.items[number].benchmark for number in compared)
        for like in likes:
            one = self.items[like.number]
            shared = sorted(key for key in item.keys & one.keys if key.startswith(WEAK))
            if one.num_pictures and not shared:
                # a template asked of another picture is no leak: only its own picture or data set convicts
                continue
            yield like.number, "benchmark-text", like.score, ", ".join([like.measure, *shared])

    def _by_picture(self, item: Item) -> Iterator[tuple[int, Reason, float, str]]:
        for at, data in chosen(item.pictures()):
            one_look = look(data, f"item {item.number} of {item.source}, picture {at}")
            for detail, bits, number in self._gallery.nearest(one_look, self.thresholds.outline):
                owner = self._owners[number]
                one = self.items[owner]
                self._candidates[one.benchmark] += 1
                bounds = self.thresholds.of(item.modality, one.modality)
                if detail >= bounds.detail and bits <= bounds.hamming:
                    yield owner, "benchmark-image", detail, f"detail {detail:.3f}, {bits} bits of 256 differ"

    def _looks(self) -> Iterator[Look]:
        """Every distinct picture once, however many questions are asked about it."""
        seen: set[int] = set()
        for number, one in enumerate(self.items):
            pictures = chosen(one.pictures()) if one.num_pictures else []
            for at, data in pictures:
                digest = xxhash.xxh3_128_intdigest(data)
                if digest not in seen:
                    seen.add(digest)
                    self._owners.append(number)
                    yield look(data, f"{one.benchmark}/{one.id}, picture {at}")

    def _note(self, item: Item, one: BenchmarkItem, reason: Reason, score: float) -> None:
        self._removed[one.benchmark, reason] += 1
        examples = self._examples.setdefault(one.benchmark, [])
        if len(examples) < EXAMPLES:
            asked = " ".join((one.question, *one.options, one.answer))
            examples.append(Example(item.number, one.id, reason, round(score, 4), _cut(item.text), _cut(asked)))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 3] + "..."


def _check_names(benchmarks: Sequence[BenchmarkItem]) -> None:
    seen: set[tuple[str, str]] = set()
    for one in benchmarks:
        name = one.benchmark, one.id
        if name in seen:
            raise ConfigError(f"{one.benchmark}: two benchmark items are called {one.id!r}; give each its own id")
        seen.add(name)
        if not (one.question.strip() or one.num_pictures or one.keys):
            raise ConfigError(
                f"{one.benchmark}/{one.id}: a benchmark item without question, pictures or keys; leave it out"
            )
