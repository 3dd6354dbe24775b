import pytest

from schemas.errors import GenerationError, TeacherError, TransientError
from teachers.fleet.breaker import NUM_BAD_AT_START, NUM_BAD_IN_A_ROW, Breaker


def breaker(was_good: bool = False) -> Breaker:
    here = Breaker("teacher 't'")
    if was_good:
        here.good()
    return here


def test_a_teacher_that_never_answered_is_given_up_with_the_first_request_that_fails() -> None:
    here = breaker()
    with pytest.raises(TeacherError, match=r"500 \(3 tries\).*running again goes on from here"):
        here.failed(TransientError("500"), 3)
    with pytest.raises(TeacherError, match="3 tries"):
        here.check()


def test_one_request_that_always_breaks_the_server_fails_alone() -> None:
    here = breaker(was_good=True)
    with pytest.raises(GenerationError, match=r"teacher-failed: 500 \(3 tries\)"):
        here.failed(TransientError("500"), 3)
    here.check()


@pytest.mark.parametrize(("was_good", "most"), [(False, NUM_BAD_AT_START), (True, NUM_BAD_IN_A_ROW)])
def test_bad_answers_in_a_row_stop_the_run_sooner_at_its_start(was_good: bool, most: int) -> None:
    here = breaker(was_good)
    for _ in range(most - 1):
        here.bad("<html>")
    with pytest.raises(
        TeacherError, match=rf"{most} answers in a row are unusable, the last: <html>; check that base_url"
    ):
        here.bad("<html>")


def test_a_good_answer_between_bad_ones_starts_the_count_again() -> None:
    here = breaker(was_good=True)
    for _ in range(3 * NUM_BAD_IN_A_ROW):
        for _ in range(NUM_BAD_IN_A_ROW - 1):
            here.bad("<html>")
        here.good()
    here.check()


def test_nobody_vouches_for_a_teacher_that_was_only_ever_wrong() -> None:
    breaker().vouch()
    here = breaker()
    here.bad("<html>")
    with pytest.raises(TeacherError, match="1 answers in a row are unusable"):
        here.vouch()
    good = breaker(was_good=True)
    good.bad("<html>")
    good.vouch()
