"""What every catalogue entry promises, checked on the real data."""

import io
import re
from collections.abc import Iterator
from dataclasses import astuple
from functools import cache

import pytest
from PIL import Image

from schemas.license import LicenseClass
from schemas.phi import find_phi
from schemas.record import Record, Reject
from schemas.taxonomy import Modality, OrganSystem, Scope
from sources.catalogue import catalogue, open_source
from sources.files import locate
from sources.privacy import IDENTIFYING
from sources.tagging.cascade import tag

IDS = sorted(id for id, entry in catalogue().items() if not entry.never_train)  # benchmarks' data is not here
DICOM_SHAPES = ("dicom-files", "dicom-cine", "dicom-sr")
REJECTED = {"dicom-reports": {"sr-image-report-template": "placeholder-text"}}


@cache
def everything(source_id: str) -> tuple[Record | Reject, ...]:
    source = open_source(source_id)
    return tuple(item for shard in source.shards() for item in source.records(shard))


def records(source_id: str) -> list[Record]:
    return [item for item in everything(source_id) if isinstance(item, Record)]


def texts_of(record: Record) -> Iterator[str]:
    facts, hints = record.facts, record.hints
    yield from (record.id, record.group_id, facts.caption, facts.report, hints.text, hints.series_description)
    yield from (*facts.labels, *facts.metadata, *facts.metadata.values())
    yield from (text for turn in facts.conversation for text in turn)
    if facts.question:
        yield from (facts.question.stem, facts.question.gold, facts.question.explanation, *facts.question.options)
    yield hints.dicom_body_part


@pytest.mark.parametrize("source_id", IDS)
def test_ids_are_unique_and_the_count_is_the_pinned_one(source_id: str) -> None:
    items = everything(source_id)
    ids = [item.id if isinstance(item, Record) else item.record_id for item in items]
    assert len(set(ids)) == len(ids) == catalogue()[source_id].records
    assert sum(shard.num_records for shard in open_source(source_id).shards()) == len(ids)


@pytest.mark.parametrize("source_id", IDS)
def test_only_the_expected_records_are_rejected(source_id: str) -> None:
    found = {item.record_id: item.reason for item in everything(source_id) if isinstance(item, Reject)}
    assert found == REJECTED.get(source_id, {})


@pytest.mark.parametrize("source_id", IDS)
def test_a_range_equals_the_slice_of_everything_and_reading_twice_gives_the_same_bytes(source_id: str) -> None:
    whole = everything(source_id)
    source = open_source(source_id)
    (shard,) = source.shards()
    start, stop = max(0, len(whole) // 2 - 1), len(whole) // 2 + 1
    assert list(map(astuple, source.records(shard, start, stop))) == list(map(astuple, whole[start:stop]))
    assert list(source.records(shard, len(whole))) == []
    assert list(source.records(shard, len(whole) - 1)) == list(whole[-1:])


@pytest.mark.parametrize("source_id", IDS)
def test_every_record_names_its_source_its_terms_and_its_group(source_id: str) -> None:
    entry = catalogue()[source_id]
    for record in records(source_id):
        assert (record.source, record.source_revision) == (source_id, entry.revision)
        assert record.terms.license.name and record.terms.citation
        assert record.terms.license.license_class is not LicenseClass.UNKNOWN
        assert record.group_id and record.language == "en" and record.domain == "medical"


@pytest.mark.parametrize("source_id", IDS)
def test_every_record_has_tags_of_the_taxonomy_with_evidence_for_each(source_id: str) -> None:
    for record in records(source_id):
        tags = tag(record)
        assert (tags.modality is None) == (not record.media)
        assert (tags.organ_system is not None) == (tags.scope is Scope.ORGAN)
        seen = {evidence.tag: evidence for evidence in tags.evidence}
        assert set(seen) == ({"modality", "organ_system"} if record.media else {"organ_system"})
        assert seen["organ_system"].value == (tags.organ_system or tags.scope).value
        assert all(evidence.seen and 0 <= evidence.confidence <= 1 for evidence in tags.evidence)


@pytest.mark.parametrize("source_id", IDS)
def test_no_text_of_any_record_matches_a_phi_pattern(source_id: str) -> None:
    for record in records(source_id):
        assert not {slug for text in texts_of(record) for slug in find_phi(text)}, record.id


@pytest.mark.parametrize("source_id", [id for id in IDS if catalogue()[id].shape in DICOM_SHAPES])
def test_nothing_that_identifies_in_a_header_is_in_any_record(source_id: str) -> None:
    import pydicom

    entry = catalogue()[source_id]
    forbidden: set[str] = set()
    for item in entry.items:
        header = pydicom.dcmread(locate(entry, item.file), stop_before_pixels=True)
        for element in header.iterall():
            if element.VR in ("PN", "DA", "DT", "UI") or element.keyword in IDENTIFYING:
                values = element.value if element.VM > 1 else [element.value]
                forbidden.update(str(value).strip() for value in values if not str(value).startswith("1.2.840.10008"))
    assert len(forbidden) > 5
    whole = "\n".join(text for record in records(source_id) for text in texts_of(record)).casefold()
    for value in forbidden:
        if len(value) >= 3:
            assert not re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", whole)


@pytest.mark.parametrize("source_id", IDS)
def test_frames_decode_to_what_they_say_and_show_something(source_id: str) -> None:
    limit = catalogue()[source_id].max_side
    for record in records(source_id):
        for media in record.media:
            assert media.frames and len(media.sha256) == 64 and media.origin
            assert len(media.times) in (0, len(media.frames)) and len(media.positions) in (0, len(media.frames))
        for frame in record.frames:
            with Image.open(io.BytesIO(frame.data)) as picture:
                assert Image.MIME[picture.format or ""] == frame.mime
                assert picture.size == (frame.width, frame.height) and max(picture.size) <= limit
                low, high = picture.convert("L").getextrema()
                assert high > low


def test_the_catalogue_covers_the_modalities_it_is_there_for() -> None:
    found = {tag(record).modality for source_id in IDS for record in records(source_id)}
    assert found >= {
        Modality.XRAY, Modality.CT, Modality.MRI, Modality.ULTRASOUND, Modality.PET, Modality.FUNDUS,
        Modality.HISTOPATHOLOGY, None,
    }  # fmt: skip


def test_known_pictures_get_the_tags_that_a_person_would_give() -> None:
    by_id = {record.id: tag(record) for record in (*records("pydicom-images"), *records("dicom-cines"))}
    assert (by_id["cr-chest-pa"].modality, by_id["cr-chest-pa"].organ_system) == (
        Modality.XRAY,
        OrganSystem.RESPIRATORY,
    )
    assert by_id["mr-shoulder"].organ_system is OrganSystem.MUSCULOSKELETAL
    assert by_id["nm-whole-body-bone"].scope is Scope.WHOLE_BODY
    assert by_id["nm-whole-body-bone"].modality is Modality.PET
    assert any("NM" in evidence.seen for evidence in by_id["nm-whole-body-bone"].evidence)
    assert by_id["us-lymph-node-power-doppler"].organ_system is OrganSystem.IMMUNE
    assert by_id["echo-120-frames"].organ_system is OrganSystem.CARDIOVASCULAR
    assert by_id["ct-vertebra-small"].scope is Scope.UNRESOLVED


def test_cuts_of_one_study_share_a_group() -> None:
    assert len({record.group_id for record in records("dicom-cines")}) == 1


def test_cine_times_are_the_headers_own() -> None:
    long, short = records("dicom-cines")
    assert long.media[0].times == (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
    assert short.media[0].times[-1] == pytest.approx(26 * 0.033333, abs=1e-3)


def test_gold_answers_are_options_in_every_position_and_are_not_in_the_question() -> None:
    questions = [record.facts.question for record in records("icd-10-cm")]
    positions = [0, 0, 0, 0]
    for question in questions:
        assert question is not None and len(set(question.options)) == 4
        assert question.gold not in question.stem
        positions[question.options.index(question.gold)] += 1
    assert min(positions) > len(questions) / 6, positions
