"""Of planted benchmark items, how many are found, and of their look-alikes, how many survive; what both cost.

    python -m benchmarks.contamination [--quick]

The planted set (`benchmarks/planted/`) is made of real material on this machine: diseases and signs of the ICD for
questions; slices of the Colin27 head, pydicom's images and scikit-image's pictures. Copies are rewritten or redrawn
by rules that the detector does not know, look-alikes share a template, a disease, the options or the anatomy. The
hash of what an item was made of puts it in one of two halves: thresholds (`corpus/likeness/thresholds.py`) were set on
`calibration`; precision and recall are of `held-out`. Intervals are Wilson's, 95%. `--quick` is under 50
seconds: the held-out half only, every third picture of it, and a smaller corpus to deduplicate.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.planted import images, repeats, texts
from corpus.likeness.contamination import Screen
from corpus.likeness.duplicates import duplicates
from corpus.likeness.items import BenchmarkItem, Item
from corpus.likeness.thresholds import Thresholds

TEMPLATES = (
    "Which imaging modality is shown?",
    "Is there any abnormality in this image?",
    "Which organ is shown here?",
)
NUM_QUESTIONS, NUM_IN_HAN = 390, 60


@dataclass(frozen=True, slots=True)
class Case:
    """A sample, the family it is of, and the benchmark item it must be found as; empty for a look-alike."""

    family: str
    item: Item
    found_as: str


@dataclass(slots=True)
class Seen:
    """Of one family: how many there are, how many were dropped, how many copies as another item's."""

    num: int = 0
    dropped: int = 0
    elsewhere: int = 0


def wilson(hits: int, num: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if not num:
        return 0.0, 1.0
    share, by = hits / num, z * z / num
    middle, reach = share + by / 2, z * math.sqrt(share * (1 - share) / num + by / (4 * num))
    return max(0.0, (middle - reach) / (1 + by)), min(1.0, (middle + reach) / (1 + by))


def text_cases(half: str) -> tuple[list[BenchmarkItem], list[Case]]:
    """The questions of a half, and their copies and look-alikes."""
    asked = [one for one in texts.questions(NUM_QUESTIONS, NUM_IN_HAN) if texts.half_of(one.origin) == half]
    language = {"han": "zh"}
    items = [
        BenchmarkItem("texts", a.origin, a.question, a.options, a.answer, language=language.get(a.kind, "en"))
        for a in asked
    ]
    planted = [one for a in asked for one in (*texts.copies(a), *texts.look_alikes(a))]
    cases = [
        Case(("" if one.is_copy else "not: ") + one.family, Item(n, "planted", "", one.text), one.origin * one.is_copy)
        for n, one in enumerate(planted)
    ]
    return items, cases


def picture_cases(half: str, step: int) -> tuple[list[BenchmarkItem], Iterator[Case]]:
    """The pictures of a half, every `step`-th, and their copies and look-alikes, drawn when they are asked for."""
    shown = [one for one in images.pictures() if texts.half_of(one.base) == half]
    asked = [one for one in shown if not one.alike][::step]
    items = [
        BenchmarkItem(
            "pictures",
            one.origin,
            template_of(one),
            pictures=partial(encoded, one),
            num_pictures=1,
            modality=one.modality,
        )
        for one in asked
    ]
    return items, _picture_cases(asked, [one for one in shown if one.alike][::step])


def encoded(one: images.Shown) -> list[bytes]:
    return [images.png(one.picture)]


def template_of(one: images.Shown) -> str:
    return TEMPLATES[len(one.base) % len(TEMPLATES)]


def _picture_cases(asked: Sequence[images.Shown], alike: Sequence[images.Shown]) -> Iterator[Case]:
    for one in asked:
        for family, change in images.COPIES.items():
            yield _case(family, one, change(one), "Describe what is seen.", one.origin)
    for one in alike:
        for family in ("exact", "JPEG 40-90", "cropped to 3%"):
            yield _case(f"not: {one.kind}", one, images.COPIES[family](one), template_of(one), "")


def _case(family: str, one: images.Shown, data: bytes, text: str, found_as: str) -> Case:
    item = Item(0, "planted", one.base, text, lambda: [data], 1, one.modality)
    return Case(family, item, found_as)


def screened(items: list[BenchmarkItem], cases: Iterator[Case] | list[Case]) -> tuple[dict[str, Seen], float]:
    """What became of every family, and the CPU milliseconds of a check."""
    screen = Screen(items, Thresholds())
    seen: dict[str, Seen] = {}
    spent = 0.0
    for case in cases:
        one = seen.setdefault(case.family, Seen())
        begun = time.process_time()
        drop = screen.check(case.item)
        spent += time.process_time() - begun
        one.num += 1
        one.dropped += drop is not None
        one.elsewhere += bool(drop and case.found_as and drop.other.partition("/")[2] != case.found_as)
    return seen, 1000 * spent / sum(one.num for one in seen.values())


def table(title: str, seen: dict[str, Seen]) -> None:
    """A line for each family."""
    print(f"\n{title:34}{'num':>6}{'dropped':>9}{'share':>8}  95% interval    as another")
    for family, one in seen.items():
        low, high = wilson(one.dropped, one.num)
        other = "" if family.startswith("not: ") else f"{one.elsewhere:>10}"
        print(f"{family:34}{one.num:>6}{one.dropped:>9}{one.dropped / one.num:>8.3f}  {low:.3f}-{high:.3f}{other}")


def figures(*groups: dict[str, Seen]) -> dict[str, float]:
    """Recall of copies, precision of drops."""
    copies = [one for seen in groups for family, one in seen.items() if not family.startswith("not: ")]
    others = [one for seen in groups for family, one in seen.items() if family.startswith("not: ")]
    hits, num = sum(one.dropped for one in copies), sum(one.num for one in copies)
    wrong = sum(one.dropped for one in others)
    (r0, r1), (p0, p1) = wilson(hits, num), wilson(hits, hits + wrong)
    return {
        "precision": hits / (hits + wrong) if hits + wrong else 0.0,
        "precision_low": p0,
        "precision_high": p1,
        "recall": hits / num,
        "recall_low": r0,
        "recall_high": r1,
        "false_alarms": wrong / max(1, sum(one.num for one in others)),
        "num_copies": num,
        "num_look_alikes": sum(one.num for one in others),
    }


def measured(half: str, step: int) -> dict[str, float]:
    """One half: its tables and its figures."""
    text, text_ms = screened(*text_cases(half))
    picture, picture_ms = screened(*picture_cases(half, step))
    table(f"Texts, {half}", text)
    table(f"Pictures, {half}", picture)
    for name, one in (("texts", figures(text)), ("pictures", figures(picture)), ("both", figures(text, picture))):
        print(
            f"{half}, {name}: recall {one['recall']:.3f} ({one['recall_low']:.3f}-{one['recall_high']:.3f}) of "
            f"{one['num_copies']}, precision {one['precision']:.3f} ({one['precision_low']:.3f}-"
            f"{one['precision_high']:.3f}) beside {one['num_look_alikes']} look-alikes"
        )
    print(
        f"CPU per 1,000 items: texts {text_ms:.2f} s, pictures {picture_ms:.2f} s (one picture each, decoding included)"
    )
    costs = {"cpu_s_per_1000_texts": text_ms, "cpu_s_per_1000_pictures": picture_ms}
    return (
        figures(text, picture)
        | costs
        | {
            "text_recall": figures(text)["recall"],
            "text_precision": figures(text)["precision"],
            "picture_recall": figures(picture)["recall"],
            "picture_precision": figures(picture)["precision"],
        }
    )


def deduplicated(num: int, num_pictures: int) -> dict[str, float]:
    """Planted repeats among unrelated samples: found, spared, and the CPU of it."""
    planted = repeats.corpus(num, num_pictures)
    begun = time.process_time()
    drops = {drop.number for drop in duplicates([one.item for one in planted])}
    spent = time.process_time() - begun
    seen: dict[str, Seen] = {}
    for one in planted:
        family = seen.setdefault(one.family if one.is_repeat else f"not: {one.family}", Seen())
        family.num += 1
        family.dropped += one.item.number in drops
    table(f"Repeats among {len(planted):,} samples", seen)
    found = figures(seen)
    print(f"CPU per 1,000 items: {1e3 * spent / len(planted):.2f} s")
    return {
        "dedup_precision": found["precision"],
        "dedup_recall": found["recall"],
        "dedup_cpu_s_per_1000": 1e3 * spent / len(planted),
    }


def main() -> None:
    """Measure, print the tables, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if not quick:
        measured("calibration", 1)
    found = measured("held-out", 3 if quick else 1)
    found |= deduplicated(*((4_000, 100) if quick else (40_000, 300)))
    print("\n" + json.dumps({key: round(value, 4) for key, value in found.items()}))


if __name__ == "__main__":
    main()
