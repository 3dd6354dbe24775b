"""What a checkpoint keeps of a feed, when it may go on, and how to change the data in the middle of training.

A state is {"step", "order_hash"}. The hash is one line of `name=value`, so that a refusal can say what differs:

    order=1 snapshot=3f9ac1d2e4b5@v000017 filter=... mixture=... seed=7 batch=512 window=1073741824

`fork` starts another feed (other snapshot, filters, weights, seed or batch size) at the step of a state. Its positions
are fresh: every component begins its first pass again, also one that both feeds have, so rows that were seen may
come again; the report says how many of each component those were. The hash then ends in `fork=<step>:<hash of the
order hash before>`, so states of different histories never pass for each other, and a later resume needs only the
new feed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from corpus.reader.corpus import Corpus
    from corpus.reader.feed import Feed
    from corpus.reader.mixture import Mixture

ORDER: Final = "1"
"""Raised when the definition in `corpus.reader.order` or in `corpus.reader.mixture` changes."""
HASH_CHARS: Final = 12
"""Hex characters of a short hash: 48 bits."""

Parts = dict[str, str]

ADVICE: Final = {
    "order": "read with the version of calabash-reader that wrote the state",
    "snapshot": "open the one of then: corpus.open(path, snapshot={then!r})",
    "filter": "filter as then, with the same demo=",
    "mixture": "give the components, names and weights of then",
    "seed": "give seed={then}",
    "batch": "give batch_size={then}",
    "window": "give window_bytes={then}",
}
"""What to do about each part that differs; `then` is its value in the state."""


def parts_of(
    mixture: "Mixture", batch_size: int, seed: int, window_bytes: int, first: int = 0, forked_from: str | None = None
) -> Parts:
    """All that decides the order, by name."""
    corpora = mixture.components.values()
    names = "+".join(dict.fromkeys(corpus.snapshot.name for corpus in corpora))
    parts = {
        "order": ORDER,
        "snapshot": f"{_short(_shared([corpus.snapshot.sha256 for corpus in corpora]))}@{names}",
        "filter": _short(_shared([_filters(corpus) for corpus in corpora])),
        "mixture": _short([mixture.spec]),
        "seed": str(seed),
        "batch": str(batch_size),
        "window": str(window_bytes),
    }
    return parts if forked_from is None else {**parts, "fork": f"{first}:{forked_from}"}


def joined_hash(parts: Parts) -> str:
    """The order hash of some parts."""
    return " ".join(f"{name}={value}" for name, value in parts.items())


def split_hash(order_hash: str) -> Parts:
    """The parts of an order hash. Raises ConfigError where it is not one."""
    parts = dict(word.split("=", 1) for word in order_hash.split() if "=" in word)
    if not ADVICE.keys() <= parts.keys():
        raise ConfigError(f"{order_hash!r} is not the order hash of a feed; give the state as Feed.state made it")
    return parts


def checked(state: Mapping[str, Any], parts: Parts) -> int:
    """The step of a state. Raises CorpusError where its order is not the one of `parts`, forks aside."""
    step, order_hash = state.get("step"), state.get("order_hash")
    if not isinstance(step, int) or not isinstance(order_hash, str):
        raise ConfigError(f"a state is {{'step': int, 'order_hash': str}}, not {dict(state)!r}")
    then = split_hash(order_hash)
    if differing := differences(then, parts):
        said = "; ".join(f"{name} was {then[name]} and is {parts[name]}: {_advice(name, then)}" for name in differing)
        raise CorpusError(
            f"this feed does not continue the state of step {step:,}: {said}; or start another order from that step "
            "on purpose: corpus.reader.fork(state, old, new)"
        )
    return step


def differences(then: Parts, now: Parts) -> list[str]:
    """The parts whose values differ; a snapshot is its hash, whatever its name."""
    return [name for name in ADVICE if then[name].split("@")[0] != now[name].split("@")[0]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a component was read: `rows`, repeats counted, and how many `passes` over its `num_rows` that is."""

    rows: int
    num_rows: int

    @property
    def passes(self) -> float:
        """1.0 is every row once."""
        return self.rows / self.num_rows


@dataclass(frozen=True, slots=True)
class Fork:
    """What was read of the old feed, from step `first` to `step`, by component; `changed` are the parts that differ."""

    first: int
    step: int
    changed: tuple[str, ...]
    seen: Mapping[str, Seen]

    def __str__(self) -> str:
        lines = [f"from step {self.step:,} on another {', '.join(self.changed)}; read since step {self.first:,}:"]
        for name, seen in self.seen.items():
            lines.append(f"  {name}: {seen.rows:,} rows, {seen.passes:.2f} passes over {seen.num_rows:,}")
        return "\n".join(lines)


def fork(state: Mapping[str, Any], old: "Feed", new: "Feed") -> "tuple[Feed, Fork]":
    """`new`, set to go on at the step of a state of `old`, and what was read before.

    Raises CorpusError where the state is not one of `old`, ConfigError where nothing differs.
    """
    step = old.resume(state).step
    changed = differences(old.parts, new.parts)
    if not changed:
        raise ConfigError("the new feed has the order of the old one: resume it, feed.resume(state)")
    seen = old.mixture.seen((step - old.first) * old.batch_size, old.seed)
    report = Fork(
        first=old.first,
        step=step,
        changed=tuple(changed),
        seen={name: Seen(rows, old.mixture.sizes[name]) for name, rows in seen.items()},
    )
    parts = {**new.parts, "fork": f"{step}:{_short([state['order_hash']])}"}
    return new.resume({"step": step, "order_hash": joined_hash(parts)}), report


def _advice(name: str, then: Parts) -> str:
    return ADVICE[name].format(then=then[name].split("@")[-1])


def _filters(corpus: "Corpus") -> str:
    """A corpus's filters, with values in one order."""
    asked = {name: sorted(map(str, values)) for name, values in sorted(corpus.filters.items())}
    return f"{asked} {corpus.demo}"


def _shared(values: list[str]) -> list[str]:
    """One value where all components have the same."""
    return values[:1] if len(set(values)) == 1 else values


def _short(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:HASH_CHARS]
