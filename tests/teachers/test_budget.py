import asyncio
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ask import Reply, Request, Sampling, Turn
from schemas.errors import TeacherError
from schemas.pipeline import Batch, Price
from schemas.pipeline import Budget as Limits
from schemas.record import Frame
from teachers.budget import NOTHING, Budget, Cost, cost, cost_of, price_of, upper_of
from tests.support.asking import SCHEMA, request, teacher

PRICE = Price(input=0.4, output=1.2)
MANY = 1_000_000_000


def test_prices_are_per_million_tokens() -> None:
    assert cost(Reply("x", prompt_tokens=1_000_000, completion_tokens=500_000), PRICE) == pytest.approx(1.0)


def test_what_a_reply_costs_is_a_request_its_tokens_and_their_price() -> None:
    reply = Reply("x", prompt_tokens=100_000, completion_tokens=50_000)
    assert cost_of(reply, PRICE) == (pytest.approx(0.1), 150_000, 1)


def test_a_reply_whose_server_counts_no_tokens_costs_the_most_that_it_can() -> None:
    assert cost_of(Reply("x"), PRICE, Cost(0.2, 500, 1)) == Cost(0.2, 500, 1)
    assert cost_of(Reply("x"), PRICE) == Cost(0.0, 0, 1)


def test_a_teacher_asked_in_batches_costs_its_factor() -> None:
    online = teacher("http://x/v1", price=PRICE)
    assert price_of(online) == PRICE
    assert price_of(online.model_copy(update={"batch": Batch(price_factor=0.5)})) == Price(input=0.2, output=0.6)


def test_the_upper_bound_is_above_what_any_tokenizer_makes_of_the_text() -> None:
    text = "肺部CT显示右上叶有一个结节。" * 10
    ask = Request("generate", (Turn("user", text),), sampling=Sampling(max_tokens=64))
    upper = upper_of(ask, PRICE)
    assert upper.tokens >= len(text.encode()) + 64
    assert upper.usd == pytest.approx(((upper.tokens - 64) * 0.4 + 64 * 1.2) / 1e6)
    assert upper.requests == 1


def test_frames_and_schemas_raise_the_upper_bound() -> None:
    picture = Frame(b"x", "image/png", 1_400, 1_400)
    plain = upper_of(request("a"), PRICE).tokens
    assert upper_of(request("a", frames=(picture,)), PRICE).tokens == plain + 10_000
    assert upper_of(request("a", frames=(Frame(b"x", "image/png", 28, 28),)), PRICE).tokens == plain + 2_880
    assert upper_of(request("a", schema=SCHEMA), PRICE).tokens > plain + 100


async def test_a_request_that_may_pass_the_limit_is_not_sent_and_the_sentence_says_what_to_do() -> None:
    budget = Budget(Limits(usd=1.0))
    assert budget.try_reserve(Cost(0.6, 10, 1))
    budget.settle(Cost(0.6, 10, 1), Cost(0.55, 10, 1))
    assert not budget.try_reserve(Cost(0.5, 10, 1))
    with pytest.raises(TeacherError) as error:
        await budget.wait(Cost(0.5, 10, 1), "vision")
    assert str(error.value) == (
        "budget: 0.55 of 1.00 US dollars are spent in this run, and the next request to teacher 'vision' "
        "may take 0.5, so it is not sent; every reply is kept: raise usd in [budget] and run again to go "
        "on from here"
    )
    assert budget.try_reserve(Cost(0.45, 10, 1))


async def test_a_waiter_goes_on_when_a_request_in_flight_costs_less_than_it_might_have() -> None:
    budget = Budget(Limits(tokens=100))
    assert budget.try_reserve(Cost(0, 80, 1))
    waiting = asyncio.create_task(budget.wait(Cost(0, 50, 1), "t"))
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.settle(Cost(0, 80, 1), Cost(0, 50, 1))
    await waiting
    budget.settle(Cost(0, 50, 1), Cost(0, 50, 1))
    assert budget.spent == Cost(0, 100, 2)


async def test_waiters_go_on_in_the_order_in_which_they_came() -> None:
    budget, order = Budget(Limits(tokens=100)), list[int]()
    assert budget.try_reserve(Cost(0, 100, 1))

    async def one(number: int) -> None:
        await budget.wait(Cost(0, 40, 1), "t")
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert not budget.try_reserve(Cost(0, 0, 1))  # a small one does not overtake
    budget.settle(Cost(0, 100, 1), NOTHING)
    await asyncio.sleep(0)
    assert order == [0, 1]
    for _ in range(5):
        budget.settle(Cost(0, 40, 1), NOTHING)
        await asyncio.sleep(0)
    assert order == [0, 1, 2, 3, 4]
    await asyncio.gather(*tasks)


async def test_a_request_that_failed_gives_all_back() -> None:
    budget = Budget(Limits(requests=1))
    for _ in range(3):
        assert budget.try_reserve(Cost(0, 5, 1))
        budget.settle(Cost(0, 5, 1), NOTHING)
    assert budget.spent == NOTHING


async def test_a_cancelled_waiter_holds_nothing_and_nobody_up() -> None:
    budget = Budget(Limits(tokens=100))
    assert budget.try_reserve(Cost(0, 60, 1))
    large = asyncio.create_task(budget.wait(Cost(0, 80, 1), "t"))
    small = asyncio.create_task(budget.wait(Cost(0, 40, 1), "t"))
    await asyncio.sleep(0)
    large.cancel()
    await small
    granted = asyncio.create_task(budget.wait(Cost(0, 60, 1), "t"))
    await asyncio.sleep(0)
    budget.settle(Cost(0, 60, 1), NOTHING)
    granted.cancel()  # at the moment of the grant
    await asyncio.gather(large, granted, return_exceptions=True)
    budget.settle(Cost(0, 40, 1), NOTHING)
    assert budget.try_reserve(Cost(0, 100, 1))


async def test_a_flow_stops_at_its_own_limit_and_at_the_runs() -> None:
    run = Budget(Limits(requests=5))
    one = Budget(Limits(requests=2), "flows.captioning.budget", run)
    other = Budget(Limits(), "flows.synthetic-qa.budget", run)
    for _ in range(2):
        assert one.try_reserve(Cost(0, 1, 1))
        one.settle(Cost(0, 1, 1), Cost(0, 1, 1))
    with pytest.raises(TeacherError, match=r"2 of 2 requests.*raise requests in \[flows\.captioning\.budget\]"):
        await one.wait(Cost(0, 1, 1), "t")
    for _ in range(3):
        assert other.try_reserve(Cost(0, 1, 1))
        other.settle(Cost(0, 1, 1), Cost(0, 1, 1))
    with pytest.raises(TeacherError, match=r"5 of 5 requests.*raise requests in \[budget\]"):
        await other.wait(Cost(0, 1, 1), "t")
    assert (run.spent.requests, one.spent.requests, other.spent.requests) == (5, 2, 3)


async def test_a_waiter_of_one_flow_goes_on_when_another_flow_gives_back() -> None:
    run = Budget(Limits(usd=1.0))
    one, other = Budget(None, "flows.a.budget", run), Budget(None, "flows.b.budget", run)
    assert one.try_reserve(Cost(0.9, 1, 1))
    waiting = asyncio.create_task(other.wait(Cost(0.5, 1, 1), "t"))
    await asyncio.sleep(0)
    one.settle(Cost(0.9, 1, 1), Cost(0.5, 1, 1))
    await waiting


async def test_money_does_not_stop_a_teacher_that_is_free_and_requests_do() -> None:
    budget = Budget(Limits(usd=0.0, requests=1))
    assert not budget.try_reserve(upper_of(request(), PRICE))
    free = upper_of(request(), Price())
    assert budget.try_reserve(free)
    budget.settle(free, Cost(0.0, 10, 1))
    with pytest.raises(TeacherError, match="1 of 1 requests"):
        await budget.wait(free, "free")


def test_without_a_limit_nothing_stops_and_all_is_counted() -> None:
    budget = Budget()
    for _ in range(3):
        assert budget.try_reserve(Cost(MANY, MANY, MANY))
        budget.settle(Cost(MANY, MANY, MANY), Cost(0.5, 10, 1))
    assert budget.spent == Cost(1.5, 30, 3)


def test_a_limit_that_exactly_suffices_suffices() -> None:
    budget = Budget(Limits(usd=0.3))
    for _ in range(3):
        assert budget.try_reserve(Cost(0.1, 1, 1))
        budget.settle(Cost(0.1, 1, 1), Cost(0.1, 1, 1))


def test_an_estimate_below_the_truth_passes_the_limit_by_no_more_than_its_shortfall() -> None:
    budget = Budget(Limits(tokens=100))
    assert budget.try_reserve(Cost(0, 90, 1))
    budget.settle(Cost(0, 90, 1), Cost(0, 110, 1))
    assert budget.spent.tokens == 110
    assert not budget.try_reserve(Cost(0, 1, 1))


@dataclass
class Asked:
    """A request of the property test: what it may cost, what it does, how long it takes, when it is cancelled."""

    upper: Cost
    share: float
    num_turns: int
    flow: int
    cancel_after: int | None


COSTS = st.builds(lambda usd, tokens: Cost(usd / 100, tokens, 1), st.integers(0, 100), st.integers(1, 100))
ASKED = st.builds(
    Asked, COSTS, st.sampled_from((0.0, 0.3, 1.0)), st.integers(0, 5), st.integers(0, 1), st.none() | st.integers(0, 8)
)
LIMITS = st.builds(
    Limits,
    usd=st.none() | st.floats(0, 3),
    tokens=st.none() | st.integers(1, 400),
    requests=st.none() | st.integers(1, 12),
)


@settings(max_examples=300, deadline=None)
@given(LIMITS, LIMITS, st.lists(ASKED, max_size=25), st.randoms(use_true_random=False))
def test_no_limit_is_ever_passed_and_nothing_waits_for_ever(
    run_limits: Limits, flow_limits: Limits, asked: list[Asked], chance: random.Random
) -> None:
    run = Budget(run_limits)
    flows = Budget(flow_limits, "flows.a.budget", run), Budget(None, "flows.b.budget", run)

    async def one(ask: Asked) -> Cost:
        budget = flows[ask.flow]
        if not budget.try_reserve(ask.upper):
            await budget.wait(ask.upper, "t")
        actual = NOTHING
        try:
            for _ in range(ask.num_turns):
                await asyncio.sleep(0)
            actual = Cost(ask.upper.usd * ask.share, int(ask.upper.tokens * ask.share), 1)
        finally:
            budget.settle(ask.upper, actual)
        return actual

    async def all_of_them() -> list[Cost | BaseException]:
        tasks = [asyncio.create_task(one(ask)) for ask in asked]
        for turn in range(10):
            for task, ask in zip(tasks, asked, strict=True):
                if ask.cancel_after == turn:
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return await asyncio.gather(*tasks, return_exceptions=True)

    ended = asyncio.run(all_of_them())
    answered = [each for each in ended if isinstance(each, Cost)]
    assert all(isinstance(each, Cost | TeacherError | asyncio.CancelledError) for each in ended)
    for budget in (run, *flows):
        for have, limit in zip(
            budget.spent, (budget.limits.usd, budget.limits.tokens, budget.limits.requests), strict=True
        ):
            assert limit is None or have <= limit + 1e-9
    assert run.spent.requests == len(answered)
    assert run.spent.usd == pytest.approx(sum(each.usd for each in answered))
    left = [
        None if limit is None else limit - have
        for limit, have in zip((run.limits.tokens,), (run.spent.tokens,), strict=True)
    ]
    if left[0]:
        # whatever was reserved has been given back: all that is left can be had at once
        assert flows[1].try_reserve(Cost(0.0, left[0], 0))
