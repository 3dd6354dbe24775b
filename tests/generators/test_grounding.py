"""The grounding gates: numbers, sides, modality, priors, findings and words come from the facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.gates.consistency import modality_agrees, sides_agree
from generators.gates.findings import findings_from_facts
from generators.gates.numbers import numbers_from_facts
from generators.gates.priors import no_priors
from generators.gates.vocabulary import words_from_facts
from schemas.ask import Reply, Request, Turn
from schemas.record import Facts
from tests.generators.by_hand import BRAIN, LIVER, REPORT, record_of, talk

BLIND = ((Request("generate", (Turn("user", "facts"),)), Reply("{}")),)
"""An ask that showed no picture."""

PLAIN = record_of("plain", Facts(metadata={"modality": "MRI"}))


def reason(gate, text, record=PLAIN, **fields):
    verdict = gate(record, talk(text, **fields))
    assert verdict.passed == (not verdict.reason)
    return verdict.reason


@pytest.mark.parametrize(
    ("record", "text", "why"),
    [
        (BRAIN, "The left hippocampus measures 4.1 mL.", ""),
        (BRAIN, "The left hippocampus measures 4,10 ml, the right hippocampus 4.3 mL.", ""),
        (BRAIN, "The volume is 9.7 mL.", "invented-number"),
        (BRAIN, "The left hippocampus measures 4.1 cm.", "wrong-unit"),
        (BRAIN, "The right hippocampus measures 4.1 mL.", "misattributed-number"),
        (
            BRAIN,
            "The left hippocampus measures 4.1 mL and the right hippocampus measures 4.1 mL.",
            "misattributed-number",
        ),
        (BRAIN, "The left and right hippocampus measure 4.1 and 4.3 mL.", ""),
        (REPORT, "A mass of three centimeters.", "invented-number"),
        (REPORT, "1. A mass of 3 cm.\n2. Nothing else.", ""),
        (LIVER, "A T2-weighted picture.", ""),
        (LIVER, "肝脏病灶大小为 12 mm。", "invented-number"),
    ],
)
def test_numbers_come_from_the_facts_with_their_units_and_owners(record, text, why):
    assert reason(numbers_from_facts, text, record) == why


@given(st.integers(5, 10**6), st.sampled_from(["mm", "cm", "mL", "%", ""]))
def test_a_number_that_is_not_in_the_facts_never_passes_and_one_that_is_always_does(number, unit):
    text = f"It measures {number} {unit}."
    assert reason(numbers_from_facts, text, LIVER) == "invented-number"
    assert reason(numbers_from_facts, text, record_of("x", Facts(caption=f"{number} {unit}"))) == ""


LEFT = record_of("left", Facts(labels=("left lung nodule",)))


@pytest.mark.parametrize(
    ("record", "text", "need", "why"),
    [
        (LEFT, "A nodule in the left lung.", False, ""),
        (LEFT, "A nodule in the right lung.", False, "side-swapped"),
        (LEFT, "Un nódulo en el pulmón derecho.", False, "side-swapped"),
        (LEFT, "右肺结节。", False, "side-swapped"),
        (LEFT, "Узел в правом лёгком.", False, "side-swapped"),
        (BRAIN, "The right hippocampus is seen.", False, ""),
        (
            record_of("x", Facts(labels=("left amygdala", "right hippocampus"))),
            "The right amygdala.",
            False,
            "side-swapped",
        ),
        (LIVER, "A lesion in the right lobe.", False, ""),
        (LIVER, "A lesion in the right lobe.", True, "side-invented"),
        (record_of("x", Facts(labels=("bilateral effusion",))), "An effusion on the left.", True, ""),
    ],
)
def test_sides_are_those_of_the_facts(record, text, need, why):
    assert reason(sides_agree(need), text, record) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("This MRI shows the liver.", ""),
        ("This CT scan shows the liver.", "wrong-modality"),
        ("An ultrasound of the liver.", "wrong-modality"),
        ("这是肝脏的超声图像。", "wrong-modality"),
        ("Рентгенограмма печени.", "wrong-modality"),
        ("A picture of the liver.", ""),
    ],
)
def test_the_modality_is_the_records_own(text, why):
    assert reason(modality_agrees, text, LIVER) == why


def test_a_record_of_unknown_modality_is_not_judged_by_it():
    assert reason(modality_agrees, "This CT scan shows a lesion.", PLAIN) == ""


@pytest.mark.parametrize(
    "text",
    [
        "The mass is larger compared to the prior study.",
        "No interval change is seen.",
        "Unchanged from the previous exam.",
        "与前片比较，病灶增大。",
        "Sin cambios en comparación con el estudio previo.",
        "Im Vergleich zur Voraufnahme unverändert.",
        "По сравнению с предыдущим исследованием без изменений.",
        "Par rapport à l'examen antérieur, stable.",
    ],
)
def test_comparisons_in_time_need_a_prior_in_the_facts(text):
    assert reason(no_priors, text, LIVER) == "invented-prior"
    assert reason(no_priors, text, record_of("x", Facts(report="Compared with the prior study."))) == ""


@pytest.mark.parametrize("text", ["肝脏可见病灶。", "The liver is stable in shape.", "Le foie est normal."])
def test_plain_descriptions_make_no_comparison(text):
    assert reason(no_priors, text, LIVER) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("It shows a marked lesion in the abdomen.", ""),
        ("It shows a fracture.", "invented-finding"),
        ("There is no fracture.", "invented-finding"),
        ("It shows the heart.", "invented-organ"),
    ],
)
def test_who_sees_nothing_names_no_finding_and_no_organ_of_its_own(text, why):
    assert reason(findings_from_facts, text, LIVER, asks=BLIND) == why


def test_who_sees_the_picture_may_name_what_it_shows():
    seen = ((Request("generate", (Turn("user", "facts", LIVER.frames),)), Reply("{}")),)
    assert reason(findings_from_facts, "It shows a fracture.", LIVER, asks=seen) == ""
    assert reason(words_from_facts(0.0, False), "It shows a fracture.", LIVER, asks=seen) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [("This image shows one marked lesion.", ""), ("A kernel of melanoma with halo.", "ungrounded-words")],
)
def test_who_sees_nothing_uses_the_words_of_the_facts(text, why):
    assert reason(words_from_facts(0.15, False), text, LIVER, asks=BLIND) == why
