"""DICOM pixels: the order of operations, on real files and on small ones made here."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from sources.base import Refusal
from sources.entry import WindowName
from sources.render import dicom, encode, orient
from sources.render.windows import PRESETS, apply_window, preset


def real(name: str) -> Any:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), name
    return pydicom.dcmread(path)


def made(stored: Any, **tags: Any) -> Dataset:
    """A monochrome data set of int16 values."""
    array = np.asarray(stored, np.int16)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Rows, ds.Columns = array.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel = 16, 16, 15, 1
    ds.PixelRepresentation, ds.PhotometricInterpretation, ds.Modality = 1, "MONOCHROME2", "MR"
    ds.PixelData = array.tobytes()
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def test_monochrome1_is_inverted_so_that_lungs_are_darker_than_the_heart() -> None:
    pixels = dicom.render(real("RG1_J2KR.dcm")).pixels
    lung, heart = pixels[600:700, 1250:1350].mean(), pixels[1250:1400, 1050:1200].mean()
    assert lung < heart - 40


def test_the_same_values_in_monochrome1_are_the_negative() -> None:
    stored = np.arange(64).reshape(8, 8)
    plain = dicom.render(made(stored)).pixels.astype(int)
    inverted = dicom.render(made(stored, PhotometricInterpretation="MONOCHROME1")).pixels.astype(int)
    assert np.abs(plain + inverted - 255).max() <= 1


def test_rescale_comes_before_the_window() -> None:
    """Raw 1064 with intercept -1024 is 40 HU: the middle of soft tissue, and white if rescale is forgotten."""
    stored = [[0, 1064], [1164, 2000]]
    ds = made(stored, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    rendered = dicom.render(ds)
    assert rendered.window == "soft tissue 400/40"
    assert rendered.pixels[0, 0] == 0 and rendered.pixels[1, 1] == 255
    assert abs(int(rendered.pixels[0, 1]) - 128) <= 1
    assert abs(int(rendered.pixels[1, 0]) - 191) <= 1


def test_ct_takes_its_organs_preset_and_not_the_headers_window() -> None:
    assert dicom.render(real("J2K_pixelrep_mismatch.dcm")).window == "brain 80/40"
    assert dicom.render(real("J2K_pixelrep_mismatch.dcm"), window="bone").window == "bone 1800/400"
    assert str(preset("Whole Thing")) == "soft tissue 400/40"


def test_an_entry_may_name_every_preset_and_no_other() -> None:
    assert set(get_args(WindowName)) == set(PRESETS)


@given(st.floats(-3000, 3000), st.floats(-3000, 3000), st.sampled_from(sorted(PRESETS)))
def test_a_window_never_swaps_dark_and_bright(first: float, second: float, name: str) -> None:
    low, high = sorted((first, second))
    out = apply_window(np.array([low, high]), PRESETS[name])
    assert 0 <= out[0] <= out[1] <= 1


@pytest.mark.parametrize(("compressed", "plain"), [("RG3_J2KR.dcm", "RG3_UNCR.dcm"), ("MR2_J2KR.dcm", "MR2_UNCR.dcm")])
def test_lossless_jpeg2000_renders_exactly_as_its_uncompressed_twin(compressed: str, plain: str) -> None:
    assert np.array_equal(dicom.render(real(compressed)).pixels, dicom.render(real(plain)).pixels)


def test_lossy_jpeg2000_renders_nearly_as_its_uncompressed_twin() -> None:
    lossy = dicom.render(real("MR2_J2KI.dcm")).pixels.astype(int)
    exact = dicom.render(real("MR2_UNCI.dcm")).pixels.astype(int)
    assert np.abs(lossy - exact).mean() < 2


@pytest.mark.parametrize(
    "name",
    ["SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle.dcm"],
)
def test_color_arrives_as_rgb_whatever_it_was_stored_as(name: str) -> None:
    """The file's own comment: ten rows each of red, pink, green, light green, blue, light blue, black, ..., white."""
    pixels = dicom.render(real(name)).pixels.astype(int)
    expected = {5: (255, 0, 0), 25: (0, 255, 0), 45: (0, 0, 255), 65: (0, 0, 0), 95: (255, 255, 255)}
    for row, color in expected.items():
        assert np.abs(pixels[row, 50] - color).max() <= 6, (row, pixels[row, 50])


def test_reversible_jpeg2000_color_reads_red_green_blue() -> None:
    """The picture says "red", "green", "blue", each in its color on gray."""
    pixels = dicom.render(real("GDCMJ2K_TextGBR.dcm")).pixels.astype(int)
    for color, (top, bottom) in enumerate([(30, 100), (130, 200), (230, 310)]):
        band = pixels[top:bottom].reshape(-1, 3)
        vivid = band[band.max(1) - band.min(1) > 150]
        assert len(vivid) and (vivid.argmax(1) == color).all()


def test_a_palette_becomes_color() -> None:
    pixels = dicom.render(real("gdcm-US-ALOKA-16.dcm")).pixels
    assert pixels.dtype == np.uint8 and pixels.shape == (480, 640, 3)
    green = pixels.astype(int)
    assert ((green[..., 1] - green[..., 0]) > 150).sum() > 50  # the device's green marks


def test_padding_is_background_and_does_not_set_the_window() -> None:
    stored = np.full((20, 20), -2000)
    stored[5:15, 5:15] = np.arange(100).reshape(10, 10) + 100
    pixels = dicom.render(made(stored, PixelPaddingValue=-2000)).pixels
    inside = pixels[5:15, 5:15]
    assert pixels[0, 0] == 0 and inside.min() < 10 and inside.max() > 245


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PhotometricInterpretation": "CMYK"}, "unknown-photometric"),
        ({"Rows": 9}, "undecodable"),
        ({"Rows": 60000, "Columns": 60000}, "absurd-size"),
        ({"PixelData": np.zeros(64, np.int16).tobytes()}, "constant-image"),
    ],
)
def test_what_cannot_be_shown_truly_is_refused(tags: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        dicom.render(made(np.arange(64).reshape(8, 8), **tags))
    assert refused.value.reason == reason


def test_a_truncated_file_and_a_text_file_are_refused_with_a_reason() -> None:
    with pytest.raises(Refusal) as refused:
        dicom.render(real("MR_truncated.dcm"))
    assert refused.value.reason == "undecodable"
    with pytest.raises(Refusal) as refused:
        dicom.read(b"hello, this is no DICOM file" * 20)
    assert refused.value.reason == "not-dicom"


def test_a_syntax_without_a_decoder_is_refused() -> None:
    ds = made(np.arange(64).reshape(8, 8))
    ds.file_meta.TransferSyntaxUID = pydicom.uid.MPEG4HP41
    with pytest.raises(Refusal) as refused:
        dicom.render(ds)
    assert refused.value.reason == "no-decoder"


def test_an_axial_slice_stored_upside_down_and_a_mirrored_radiograph_are_flipped() -> None:
    stored = np.arange(64, dtype=np.uint8).reshape(8, 8)
    flipped = made(stored, ImageOrientationPatient=[1, 0, 0, 0, -1, 0])
    assert np.array_equal(orient.upright(flipped, stored), stored[::-1])
    mirrored = made(stored, Modality="CR", PatientOrientation=["R", "F"])
    assert np.array_equal(orient.upright(mirrored, stored), stored[:, ::-1])
    for standard in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]):
        assert np.array_equal(orient.upright(made(stored, ImageOrientationPatient=standard), stored), stored)


def test_encoding_bounds_the_longest_side_keeps_the_aspect_and_repeats(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 900), np.uint8)
    frame = encode.encode(pixels, 450, "image/png")
    assert (frame.width, frame.height) == (450, 150)
    assert frame == encode.encode(pixels, 450, "image/png")
    assert np.array_equal(encode.decode(encode.encode(pixels, 900, "image/png").data), pixels)
    with pytest.raises(Refusal, match="undecodable"):
        encode.decode(frame.data[: len(frame.data) // 2])
