"""The balance gate keeps answers from being guessed by their frequency."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from generators.gates.balance import balanced, limit_of

GATE = balanced(0.6, 0.4, 4)


def sample(answer):
    """As much of a sample as the gate reads."""
    kind = "yes_no" if answer in ("Yes", "No") else "multiple_choice"
    text = f"{answer}." if kind == "yes_no" else f"{answer}. liver"
    content = [{"type": "text", "text": text}]
    return SimpleNamespace(answer_type=kind, gold=answer, messages=({"role": "assistant", "content": content},))


def kept(answers):
    verdicts = GATE([sample(answer) for answer in answers])
    assert len(verdicts) == len(answers)
    return [answer for answer, verdict in zip(answers, verdicts, strict=True) if verdict.passed]


def test_small_tasks_pass_as_they_are():
    assert kept(["Yes"] * 4) == ["Yes"] * 4


def test_the_later_ones_of_a_frequent_answer_are_refused():
    assert kept(["Yes"] * 20 + ["No"] * 10) == ["Yes"] * 15 + ["No"] * 10


def test_letters_are_held_to_their_own_share():
    left = kept(["A"] * 30 + ["B"] * 10 + ["C"] * 10 + ["D"] * 10)
    assert left.count("A") == 20 and len(left) == 50


def test_free_text_is_never_refused():
    free = SimpleNamespace(answer_type="free_text", gold=None, messages=())
    assert all(verdict.passed for verdict in GATE([free] * 50))


@given(st.lists(st.sampled_from(["Yes", "No"]), max_size=80))
def test_no_answer_exceeds_its_share_beyond_the_free_ones(answers):
    left = kept(answers)
    for answer in ("Yes", "No"):
        others = answers.count("No" if answer == "Yes" else "Yes")
        assert left.count(answer) <= max(4, limit_of(others, 0.6))
    assert kept(answers) == left
