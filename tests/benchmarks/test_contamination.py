"""The planted set: its halves, its labels, and that what was set on one half holds on a part of the other."""

import pytest

from benchmarks.contamination import figures, picture_cases, screened, text_cases, wilson
from benchmarks.planted import repeats, texts
from corpus.likeness.duplicates import duplicates


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_no_origin_is_in_both_halves_and_no_look_alike_is_a_question() -> None:
    (set_on, _), (held_out, cases) = text_cases("calibration"), text_cases("held-out")
    assert len(set_on) > 150 < len(held_out)
    assert not {one.id for one in set_on} & {one.id for one in held_out}
    asked = {one.question for one in (*set_on, *held_out)}
    assert not [case for case in cases if not case.found_as and set(case.item.text.splitlines()) & asked]


def test_the_planted_set_is_the_same_every_time() -> None:
    first = texts.questions(12, 3)
    assert first == texts.questions(12, 3)
    assert [texts.half_of(one.origin) for one in first].count("held-out") in range(3, 13)


def test_texts_of_the_held_out_half_are_found_and_look_alikes_survive() -> None:
    items, cases = text_cases("held-out")
    seen, _ = screened(items, cases)
    found = figures(seen)
    assert found["recall"] >= 0.95
    assert found["precision"] >= 0.98
    assert seen["exact"].dropped == seen["exact"].num
    assert not sum(one.elsewhere for one in seen.values())


@pytest.mark.slow
def test_pictures_of_the_held_out_half_are_found_and_look_alikes_survive() -> None:
    seen, _ = screened(*picture_cases("held-out", 1))
    found = figures(seen)
    assert found["recall"] >= 0.95
    assert found["precision"] >= 0.98


def test_planted_repeats_are_dropped_and_nothing_else() -> None:
    placed = repeats.corpus(200, 8)
    dropped = {drop.number for drop in duplicates([one.item for one in placed])}
    assert dropped == {one.item.number for one in placed if one.is_repeat}
