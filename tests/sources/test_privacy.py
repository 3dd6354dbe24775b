"""What may leave a header, and what text is held back."""

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from schemas.phi import PATTERNS, find_phi
from sources import privacy
from sources.base import Refusal


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("seen on 2019-03-12 again", "date"),
        ("seen on 12/03/2019", "date"),
        ("12 March 2019", "date"),
        ("March 3, 2019", "date"),
        ("20190312", "date"),
        ("call 555-123-4567", "phone"),
        ("write to jane.doe@example.org", "email"),
        ("MRN: 00123456", "id-number"),
        ("Accession number A-4411", "id-number"),
        ("123-45-6789", "social-security"),
        ("1.2.840.113619.2.55.3.1", "dicom-uid"),
        ("Patient: Smith", "person-name"),
        ("Dictated by: Dr. Jones", "person-name"),
        ("reviewed with Dr. Jones", "person-name"),
        ("DOE^JANE", "dicom-name"),
        ("CompressedSamples^CT1", "dicom-name"),
        ("a 94-year-old woman", "age-over-89"),
    ],
)
def test_identifying_text_is_found(text: str, slug: str) -> None:
    assert slug in find_phi(text)


@pytest.mark.parametrize(
    "text",
    [
        "A 3.3 cm mass in segment VI, window 400/40, slice thickness 1.25 mm.",
        "T2-weighted images, TE 90 ms, 1.5 T; ratio 3/4; grade 2-3.",
        "Patient: male, 58 years old. No pneumothorax.",
        "Crohn's disease; Dressler's syndrome; Grade IIIB; codes J18.9 and K61.31.",
        "HU of 1024 x 1024 voxels, 512 x 512 matrix, 120 kV, 230 mA.",
    ],
)
def test_clinical_text_is_not(text: str) -> None:
    assert find_phi(text) == []


@given(st.dates(), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %B %Y", "%B %d, %Y"]))
def test_no_date_of_the_last_century_slips_through(date: object, form: str) -> None:
    import datetime

    assert isinstance(date, datetime.date)
    recent = date.replace(year=1930 + date.year % 100, day=min(date.day, 28))
    assert "date" in find_phi(f"Examined {recent.strftime(form)} at noon")


@given(st.text())
def test_slugs_never_hold_the_text(text: str) -> None:
    assert set(find_phi(text)) <= set(PATTERNS)


def header(**tags: object) -> Dataset:
    ds = Dataset()
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def test_descriptions_pass_only_without_the_headers_own_identifiers() -> None:
    ds = header(PatientName="Miller^Anna", PatientID="77120", StudyDescription="Knee of MILLER", ProtocolName="194")
    ds.SeriesDescription = "abdomen^liver"
    ds.InstitutionName = "St. Nowhere"
    assert privacy.metadata(ds) == {"series description": "abdomen liver"}


def test_only_allowed_tags_leave_and_numbers_get_units() -> None:
    ds = header(
        PatientName="A^B", PatientBirthDate="19500101", PatientAge="058Y", KVP="120", Modality="CT",
        SliceThickness="1.25", StudyDate="20200101", DeviceSerialNumber="SN123", Laterality="L",
    )  # fmt: skip
    assert privacy.metadata(ds) == {
        "modality": "computed tomography",
        "laterality": "left",
        "slice thickness": "1.25 mm",
        "tube voltage": "120 kV",
    }


def test_a_malformed_number_counts_as_absent() -> None:
    pydicom.config.settings.reading_validation_mode = pydicom.config.WARN
    ds = header(PixelSpacing=["0", "0"])
    assert privacy.metadata(ds) == {}


@pytest.mark.parametrize(
    "tags",
    [
        {"Modality": "US"},
        {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"Modality": "MR", "BurnedInAnnotation": "YES"},
        {"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
    ],
)
def test_a_picture_that_may_hold_text_needs_a_person_who_looked(tags: dict[str, object]) -> None:
    with pytest.raises(Refusal) as refused:
        privacy.check_burned_in(header(**tags), "")
    assert refused.value.reason == "burned-in-text-unreviewed"
    privacy.check_burned_in(header(**tags), "no text in the picture")
    privacy.check_burned_in(header(Modality="CT"), "")


def test_groups_hide_the_patient_and_keep_one_patient_together() -> None:
    first, second = header(PatientID="77120", StudyInstanceUID="1.2.3"), header(PatientID="77120")
    assert privacy.group_of(first) == privacy.group_of(second) != privacy.group_of(header(PatientID="77121"))
    assert "77120" not in privacy.group_of(first)
