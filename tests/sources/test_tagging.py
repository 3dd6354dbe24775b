"""The cascade: order, traps, and what is never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.license import License
from schemas.record import Hints, Media, Record, SourceTerms
from schemas.taxonomy import Modality, OrganSystem, Scope
from sources.tagging import anatomy
from sources.tagging.cascade import tag
from sources.tagging.header import CODES

PICTURE = (Media("image", (), "0" * 64, "nowhere"),)


def record(hints: Hints, language: str = "en", media: tuple[Media, ...] = PICTURE, domain: str = "medical") -> Record:
    return Record(
        id="r",
        source="s",
        source_revision="1",
        group_id="g",
        terms=SourceTerms(License("MIT")),
        media=media,
        hints=hints,
        language=language,
        domain="general" if domain == "general" else "medical",
    )


def organ(text: str, language: str = "en") -> OrganSystem | Scope:
    tags = tag(record(Hints(text=text), language))
    return tags.organ_system or tags.scope


def test_header_wins_over_dataset_and_dataset_over_lexicon() -> None:
    hints = Hints(
        dicom_modality="CT",
        dicom_body_part="CHEST",
        modality=Modality.MRI,
        organ_system=OrganSystem.URINARY,
        text="ultrasound of the liver",
    )
    tags = tag(record(hints))
    assert (tags.modality, tags.organ_system) == (Modality.CT, OrganSystem.RESPIRATORY)
    assert tags.organ_systems_also == (OrganSystem.CARDIOVASCULAR, OrganSystem.MUSCULOSKELETAL)
    assert {evidence.step for evidence in tags.evidence} == {"header"}
    tags = tag(record(Hints(modality=Modality.MRI, text="ultrasound of the liver")))
    assert [evidence.step for evidence in tags.evidence] == ["dataset", "lexicon"]


def test_the_sop_class_wins_over_a_mistyped_modality_and_a_screenshot_says_nothing() -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    assert tag(record(Hints(dicom_modality="CT", dicom_sop_class=mr))).modality is Modality.MRI
    capture = "1.2.840.10008.5.1.4.1.1.7"
    assert tag(record(Hints(dicom_modality="CT", dicom_sop_class=capture))).modality is Modality.UNRESOLVED


def test_no_modality_code_means_two_things() -> None:
    codes = [code for group in CODES.values() for code in group]
    assert len(codes) == len(set(codes))
    for not_an_image in ("SR", "SEG", "RTSTRUCT", "OT", "KO"):
        assert tag(record(Hints(dicom_modality=not_an_image))).modality is Modality.UNRESOLVED


def test_nuclear_medicine_is_pet_and_the_evidence_says_why() -> None:
    tags = tag(record(Hints(dicom_modality="NM", dicom_body_part="WHOLE BODY")))
    assert (tags.modality, tags.organ_system, tags.scope) == (Modality.PET, None, Scope.WHOLE_BODY)
    assert "scintigraphy" in tags.evidence[0].seen


def test_text_has_no_modality_and_the_general_domain_no_organ() -> None:
    assert tag(record(Hints(text="a CT of the lung"), media=())).modality is None
    tags = tag(record(Hints(text="the heart of the city"), domain="general"))
    assert tags.organ_system is None and tags.scope is Scope.UNRESOLVED
    assert all(evidence.tag != "organ_system" for evidence in tags.evidence)


def test_a_kernel_in_a_series_description_is_not_a_bone() -> None:
    assert organ("") is Scope.UNRESOLVED
    tags = tag(record(Hints(dicom_modality="CT", series_description="CHEST 1.0 BONE")))
    assert tags.organ_system is OrganSystem.RESPIRATORY
    for kernel in ("AXIAL LUNG", "2.0 B70f", "STD BRAIN WINDOW", "SOFT TISSUE", "BONE PLUS"):
        assert tag(record(Hints(dicom_modality="CT", series_description=kernel))).scope is Scope.UNRESOLVED, kernel


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("the recovery rate was high", "en", Scope.UNRESOLVED),
        ("taux normal de la rate", "fr", OrganSystem.IMMUNE),
        ("the main result, a dent in the pie", "en", Scope.UNRESOLVED),
        ("fracture de la main", "fr", OrganSystem.MUSCULOSKELETAL),
        ("dolor en el pie", "es", OrganSystem.MUSCULOSKELETAL),
        ("手术后恢复良好", "zh", Scope.UNRESOLVED),
        ("肺部结节", "zh", OrganSystem.RESPIRATORY),
        ("пневмония нижней доли", "ru", OrganSystem.RESPIRATORY),
        ("lungs", "de", Scope.UNRESOLVED),
        ("cervical spine fracture", "en", OrganSystem.MUSCULOSKELETAL),
        ("cervical cancer screening", "en", OrganSystem.REPRODUCTIVE),
        ("increased stroke volume", "en", Scope.UNRESOLVED),
        ("the lens and the iris of a camera", "en", Scope.UNRESOLVED),
        ("no pneumothorax, no pleural effusion", "en", OrganSystem.RESPIRATORY),
        ("kidneys normal; liver with two hepatic cysts", "en", OrganSystem.DIGESTIVE),
    ],
)
def test_words_count_in_their_own_language_only(text: str, language: str, expected: object) -> None:
    assert organ(text, language) is expected


@given(st.sampled_from(sorted(anatomy.COLUMNS)), st.text("abcdefghijklmnop ", max_size=40))
def test_a_term_inside_a_longer_word_never_counts(language: str, noise: str) -> None:
    for hit in anatomy.find(f"x{noise}x", "en"):
        before, after = f" x{noise}x "[hit.start], f" x{noise}x "[hit.start + len(hit.word) + 1]
        assert not before.isalnum() and not after.isalnum()
    assert all(hit.place.term for hit in anatomy.find(noise, language))


@given(
    st.sampled_from([*Modality, None]), st.sampled_from([*OrganSystem, None]), st.text("0123456789 .,;-", max_size=60)
)
def test_a_later_step_never_overwrites_an_earlier_one(
    modality: Modality | None, system: OrganSystem | None, text: str
) -> None:
    tags = tag(record(Hints(modality=modality, organ_system=system, text=f"{text} liver MRI")))
    assert tags.modality is (modality or Modality.MRI)
    assert tags.organ_system is (system or OrganSystem.DIGESTIVE)


def test_every_body_part_code_leads_to_the_taxonomy() -> None:
    assert anatomy.by_code("whole body") == anatomy.by_code("WHOLEBODY")
    brain = anatomy.by_code("12738006")
    assert brain is not None and brain.organ_system is OrganSystem.NERVOUS
    assert tag(record(Hints(dicom_body_part="Left Breast"))).organ_system is OrganSystem.REPRODUCTIVE
    assert anatomy.by_code("NO SUCH PLACE") is None
