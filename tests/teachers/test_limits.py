import asyncio
import time

import pytest

from schemas.errors import GenerationError, TeacherError, TransientError
from teachers import limits as subject
from teachers.failures import NONSENSE, BusyError, NotACompletion, UnreachableError
from teachers.limits import Limits, pause

Outcome = str | Exception


class Scripted:
    """An endpoint that does what a list says, one entry per try."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.attempts: list[int] = []

    async def __call__(self, attempt: int) -> str:
        self.attempts.append(attempt)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "BASE_S", 0.01)


def limits(max_retries: int = 2, max_in_flight: int = 4) -> Limits:
    return Limits("teacher 't'", max_in_flight, max_retries)


async def test_what_may_succeed_later_is_tried_again() -> None:
    ask = Scripted(TransientError("a"), UnreachableError("b"), "answer")
    assert await limits().call(ask) == "answer"
    assert ask.attempts == [0, 1, 2]


async def test_what_is_refused_for_good_is_not() -> None:
    ask = Scripted(GenerationError("teacher-refused", "no"), "never")
    with pytest.raises(GenerationError, match="teacher-refused"):
        await limits().call(ask)
    assert ask.attempts == [0]


async def test_no_retries_means_one_try() -> None:
    ask = Scripted(TransientError("a"), "never")
    with pytest.raises(TeacherError, match=r"a \(1 tries\)"):
        await limits(max_retries=0).call(ask)


@pytest.mark.parametrize("error", [UnreachableError("down"), BusyError("overloaded"), TransientError("500")])
async def test_an_endpoint_that_never_answered_stops_everything(error: TransientError) -> None:
    here = limits()
    with pytest.raises(TeacherError, match=r"\(3 tries\).*running again goes on from here"):
        await here.call(Scripted(error, error, error))
    later = Scripted("never asked")
    with pytest.raises(TeacherError, match=r"3 tries"):
        await here.call(later)
    assert later.attempts == []


async def test_one_request_that_always_breaks_the_server_fails_alone() -> None:
    here = limits()
    await here.call(Scripted("answer"))
    with pytest.raises(GenerationError, match=r"teacher-failed: 500 \(3 tries\)"):
        await here.call(Scripted(*[TransientError("500")] * 3))
    assert await here.call(Scripted("answer")) == "answer"


@pytest.mark.parametrize("error", [UnreachableError("down"), BusyError("overloaded")])
async def test_an_outage_after_good_answers_stops_instead_of_rejecting(error: TransientError) -> None:
    here = limits()
    await here.call(Scripted("answer"))
    with pytest.raises(TeacherError, match=r"3 tries") as stopped:
        await here.call(Scripted(error, error, error))
    assert not isinstance(stopped.value, GenerationError)


async def test_one_nonsense_reply_is_one_reject() -> None:
    here = limits()
    await here.call(Scripted("answer"))
    with pytest.raises(GenerationError, match="nonsense-reply"):
        await here.call(Scripted(GenerationError(NONSENSE, "no text")))
    assert await here.call(Scripted("answer")) == "answer"


async def test_five_nonsense_replies_from_the_start_stop_the_run() -> None:
    here = limits()
    for _ in range(4):
        with pytest.raises(GenerationError, match="nonsense-reply"):
            await here.call(Scripted(GenerationError(NONSENSE, "no text")))
    with pytest.raises(TeacherError, match=r"5 answers in a row are unusable.*check that base_url"):
        await here.call(Scripted(GenerationError(NONSENSE, "no text")))


async def test_a_single_request_is_enough_to_notice_a_page_instead_of_a_model() -> None:
    with pytest.raises(TeacherError, match="5 answers in a row"):
        await limits(max_retries=5).call(Scripted(*[NotACompletion("<html>")] * 6))


async def test_a_server_that_turns_bad_midway_is_given_more_patience() -> None:
    here = limits()
    await here.call(Scripted("answer"))
    for _ in range(subject.NUM_BAD_IN_A_ROW - 1):
        with pytest.raises(GenerationError):
            await here.call(Scripted(GenerationError(NONSENSE, "no text")))
    with pytest.raises(TeacherError, match="20 answers in a row"):
        await here.call(Scripted(GenerationError(NONSENSE, "no text")))


async def test_refusals_never_add_up_to_a_stop() -> None:
    here = limits()
    for _ in range(50):
        with pytest.raises(GenerationError, match="teacher-refused"):
            await here.call(Scripted(GenerationError("teacher-refused", "no")))


async def test_an_error_that_no_request_gets_past_stops_the_others_too() -> None:
    here = limits()
    with pytest.raises(TeacherError, match="HTTP 401"):
        await here.call(Scripted(TeacherError("HTTP 401")))
    later = Scripted("never asked")
    with pytest.raises(TeacherError, match="HTTP 401"):
        await here.call(later)
    assert later.attempts == []


async def test_a_request_that_waits_for_its_retry_holds_no_place() -> None:
    here = limits(max_in_flight=1)
    waiting = asyncio.create_task(here.call(Scripted(TransientError("later", retry_after=0.5), "slow")))
    await asyncio.sleep(0.02)
    began = time.monotonic()
    assert await here.call(Scripted("quick")) == "quick"
    assert time.monotonic() - began < 0.3
    assert await waiting == "slow"


async def test_tries_on_the_wire_stay_below_the_ceiling() -> None:
    now = most = 0

    async def ask(attempt: int) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return "answer"

    here = limits(max_in_flight=3)
    await asyncio.gather(*(here.call(ask) for _ in range(30)))
    assert most == 3


def test_a_pause_obeys_the_servers_wish_and_grows_otherwise() -> None:
    assert all(7.0 <= pause(0, 7.0) <= 7.5 for _ in range(100))
    assert all(0.0 <= pause(attempt, None) <= 0.01 * 2**attempt for attempt in range(8) for _ in range(50))
    assert pause(60, None) <= subject.CAP_S
    assert pause(0, 1e9) <= subject.MAX_WISH_S + 0.5
