"""Which gates each generator's conversations must pass, built from thresholds."""

from collections.abc import Callable, Mapping
from typing import Final

from generators.gates.answer import answer_holds
from generators.gates.balance import balanced
from generators.gates.blind import needs_picture
from generators.gates.bounds import Bounds
from generators.gates.consistency import modality_agrees, sides_agree
from generators.gates.findings import findings_from_facts
from generators.gates.finish import finished
from generators.gates.judge import judged
from generators.gates.language import in_language
from generators.gates.length import ANY, WORDS, length_within
from generators.gates.medical import is_medical
from generators.gates.numbers import numbers_from_facts
from generators.gates.phi import no_phi
from generators.gates.priors import no_priors
from generators.gates.refusal import no_refusal
from generators.gates.repetition import not_repetitive
from generators.gates.structural import well_formed
from generators.gates.vocabulary import words_from_facts
from schemas.conversation import BatchGate, Gate, JudgedGate

__all__ = ["Bounds", "batch_gates_of", "gates_of", "judged_gates_of"]

Content = Callable[[Bounds], tuple[Gate, ...]]


def gates_of(generator_name: str, bounds: Bounds) -> tuple[Gate, ...]:
    """The pure gates, form first; a generator that is not listed gets those for grounded text."""
    return (*_form(generator_name, bounds), *_CONTENT.get(generator_name, _grounded)(bounds))


def batch_gates_of(generator_name: str, bounds: Bounds) -> tuple[BatchGate, ...]:
    """The gates over a task's samples; only made questions have any, a publisher's are as they are."""
    if generator_name != "synthetic_qa":
        return ()
    return (balanced(bounds.max_answer_share, bounds.max_letter_share, bounds.min_balanced),)


def judged_gates_of(generator_name: str, bounds: Bounds) -> tuple[JudgedGate, ...]:
    """The gates that ask a judge, for flows that have one; the publisher's own words are not judged."""
    return () if generator_name == "verbatim" else (judged(bounds.min_judge_score),)


def _form(name: str, bounds: Bounds) -> tuple[Gate, ...]:
    """Form, length, boilerplate, repetition, identity, domain and language: for every generator."""
    least, most = WORDS.get(name, ANY)
    least = least if bounds.min_words is None else bounds.min_words
    most = most if bounds.max_words is None else bounds.max_words
    made = name == "synthetic_qa"
    return (
        finished,
        well_formed,
        length_within(least, most),
        no_refusal(whole=made),
        not_repetitive(bounds.max_4gram_share, bounds.max_line_share, bounds.max_compression),
        no_phi,
        is_medical,
        in_language(bounds.language_chars, bounds.min_language_chars, bounds.min_script_share, whole=made),
    )


def _grounded(bounds: Bounds) -> tuple[Gate, ...]:
    """For text that describes a record."""
    return (*_contradictions(bounds), words_from_facts(bounds.max_new_words, questions=False))


def _contradictions(bounds: Bounds) -> tuple[Gate, ...]:
    """What the facts forbid or do not give."""
    sides = sides_agree(bounds.sides_need_facts)
    return (numbers_from_facts, sides, modality_agrees, no_priors, findings_from_facts)


def _questions(bounds: Bounds) -> tuple[Gate, ...]:
    """For questions made of a record."""
    words = words_from_facts(bounds.max_new_words, questions=True)
    return (answer_holds, needs_picture(bounds.max_blind_share), *_contradictions(bounds), words)


def _reasoning(bounds: Bounds) -> tuple[Gate, ...]:
    """For reasoning, which may use knowledge that is not in the record."""
    return (answer_holds, no_priors)


def _published(bounds: Bounds) -> tuple[Gate, ...]:
    """For a publisher's own words: gated for form only."""
    return ()


_CONTENT: Final[Mapping[str, Content]] = {
    "synthetic_qa": _questions,
    "multilingual_reasoning": _reasoning,
    "verbatim": _published,
}
