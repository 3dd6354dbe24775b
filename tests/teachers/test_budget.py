import pytest

from schemas.ask import Reply
from schemas.errors import TeacherError
from schemas.pipeline import Price
from teachers.budget import Budget, cost
from teachers.meter import Meter

PRICE = Price(input=0.4, output=1.2)


def test_prices_are_per_million_tokens() -> None:
    assert cost(Reply("x", prompt_tokens=1_000_000, completion_tokens=500_000), PRICE) == pytest.approx(1.0)


def test_a_replayed_request_is_counted_and_costs_nothing() -> None:
    usage = Meter()
    usage.paid(Reply("x", prompt_tokens=10, completion_tokens=5, usd=0.25))
    usage.replayed()
    assert usage == Meter(2, 1, 0, 10, 5, 0.25)


def test_a_spent_budget_stops_teachers_that_cost_money_and_no_others() -> None:
    budget = Budget(1.0)
    budget.spend(0.99)
    budget.check("t", PRICE)
    budget.spend(0.01)
    with pytest.raises(TeacherError, match=r"budget: 1\.00 of 1\.00 US dollars.*raise usd in \[budget\]"):
        budget.check("t", PRICE)
    budget.check("free", Price())


def test_without_a_limit_nothing_stops() -> None:
    budget = Budget()
    budget.spend(1e9)
    budget.check("t", PRICE)


def test_a_budget_of_zero_asks_nothing_that_costs() -> None:
    with pytest.raises(TeacherError, match="budget"):
        Budget(0.0).check("t", PRICE)
