"""The garbage collector during a flow and after it."""

import gc

import pytest

from flows.sweeping import THRESHOLDS, seldom_swept


def test_the_collector_is_as_it_was_after_a_run_even_one_that_failed() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(ValueError, match="failed"), seldom_swept():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
        raise ValueError("the run failed")
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_a_flow_within_another_leaves_the_collector_to_it() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with seldom_swept():
        with seldom_swept():
            pass
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_garbage_of_a_run_is_still_collected() -> None:
    class Knot:
        """Something that only the collector can free."""

        alive = 0

        def __init__(self) -> None:
            self.itself = self
            Knot.alive += 1

        def __del__(self) -> None:
            Knot.alive -= 1

    with seldom_swept():
        for _ in range(3 * THRESHOLDS[0]):
            Knot()
        assert Knot.alive < 2 * THRESHOLDS[0]
