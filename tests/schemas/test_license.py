"""Licence algebra: the meet is the stricter of both, whatever the order."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from schemas.license import License, LicenseClass, meet

TERMS = st.builds(
    License,
    name=st.sampled_from(["CC-BY-4.0", "MIT", "owner's words"]),
    commercial=st.booleans(),
    share_alike=st.booleans(),
    derivatives=st.booleans(),
    redistribute_media=st.booleans(),
    attribution=st.booleans(),
)


@given(TERMS, TERMS)
def test_a_meet_allows_only_what_both_allow(source: License, teacher: License) -> None:
    both = meet(source, teacher)
    if source.name != teacher.name:
        assert both.commercial <= (source.commercial and teacher.commercial)
        assert both.derivatives <= (source.derivatives and teacher.derivatives)
        assert both.share_alike >= (source.share_alike or teacher.share_alike)
        assert both.redistribute_media == source.redistribute_media


@given(TERMS)
def test_a_row_that_no_teacher_wrote_keeps_its_source_s_licence(source: License) -> None:
    assert meet(source, None) == source


@given(TERMS, TERMS)
def test_share_alike_and_plain_commercial_rows_never_share_a_class(one: License, other: License) -> None:
    if one.license_class == other.license_class and one.derivatives and other.derivatives:
        assert one.share_alike == other.share_alike
        assert one.commercial == other.commercial


def test_what_is_not_known_is_not_allowed() -> None:
    unknown = License("somebody's")
    assert unknown.license_class is LicenseClass.UNKNOWN
    allowed = [field.name for field in fields(License) if getattr(unknown, field.name) is True]
    assert allowed == ["attribution"]
