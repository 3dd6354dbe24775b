"""Volumes in LPS, label maps aligned, videos by their own clock."""

from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SourceError
from schemas.record import Record
from sources.base import Refusal
from sources.catalogue import catalogue, open_source
from sources.render import video, volume
from sources.shapes import nifti_labels


def phantom() -> np.ndarray:
    """RAS voxels (8, 10, 12): 1 at the patient's left, 2 anterior, 3 at the head, nothing opposite."""
    voxels = np.zeros((8, 10, 12), np.int16)
    voxels[0, 5, 6], voxels[4, 9, 6], voxels[4, 5, 11] = 1, 2, 3
    return voxels


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "SPR", "PIR", "ASL"])
def test_every_storage_order_shows_the_same_phantom(axes: str) -> None:
    """Right of the image is the patient's left, top of an axial slice is anterior, top of a coronal is the head."""
    tools = nibabel.orientations
    image = nibabel.Nifti1Image(phantom(), np.diag([-1.0, 1.0, 1.0, 1.0]))  # x grows to the left: L is voxel 7
    flipped = nibabel.Nifti1Image(phantom()[::-1], np.diag([-1.0, 1.0, 1.0, 1.0]))
    assert tools.aff2axcodes(image.affine) == ("L", "A", "S")
    turn = tools.ornt_transform(tools.io_orientation(image.affine), tools.axcodes2ornt(axes))
    stored = flipped.as_reoriented(turn)
    seen = volume.to_lps(np.asarray(stored.dataobj), stored.affine)
    axial = volume.slice_of(seen.voxels, "axial", 6)
    coronal = volume.slice_of(seen.voxels, "coronal", 4)
    sagittal = volume.slice_of(seen.voxels, "sagittal", 3)
    assert axial.shape == (10, 8) and axial[4, 7] == 1 and axial[0, 3] == 2
    assert coronal.shape == (12, 8) and coronal[0, 3] == 3 and coronal[5, 7] == 1
    assert sagittal.shape == (12, 10) and sagittal[5, 0] == 2 and sagittal[0, 4] == 3


def test_a_singular_affine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="singular-affine"):
        volume.to_lps(phantom(), np.diag([1.0, 0.0, 1.0, 1.0]))
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not a volume")
    with pytest.raises(SourceError, match="not a readable NIfTI"):
        volume.load(broken)


def test_labels_on_another_grid_land_on_the_same_place() -> None:
    target = volume.Volume(np.zeros((20, 20, 20)), np.diag([1.0, 1.0, 1.0, 1.0]))
    coarse = np.zeros((10, 10, 10), np.int16)
    coarse[3, 4, 5] = 7
    labels = volume.Volume(coarse, np.diag([2.0, 2.0, 2.0, 1.0]))
    out = volume.resample_labels(labels, target)
    assert out[6, 8, 10] == 7 and out[0, 0, 0] == 0 and set(np.unique(out)) == {0, 7}


@given(st.integers(1, 30), st.integers(1, 12), st.randoms())
def test_key_slices_always_show_some_of_the_region(width: int, num_slices: int, random: object) -> None:
    mask = np.zeros((4, 4, 60), bool)
    mask[1, 2, 10 : 10 + width] = True
    mask[2, 2, 50] = True
    chosen = volume.key_slices(mask, "axial", num_slices)
    assert 1 <= len(chosen) <= num_slices and chosen == sorted(set(chosen))
    assert all(mask[:, :, index].any() for index in chosen)


def test_the_atlas_lies_in_the_brain_and_a_shifted_one_is_refused() -> None:
    entry = catalogue()["mni152-regions"]
    assert entry.volume is not None
    atlas = nifti_labels.load_atlas(entry, entry.volume)
    assert nifti_labels.agreement(entry, entry.volume, atlas.labels) > 0.95
    by_name = {name: label for label, name in atlas.names.items()}
    left = np.argwhere(atlas.labels == by_name["left hippocampus"])[:, 0].mean()
    right = np.argwhere(atlas.labels == by_name["right hippocampus"])[:, 0].mean()
    assert left > right + 20  # x grows to the patient's left
    ventricle = atlas.volume.voxels[atlas.labels == by_name["left lateral ventricle"]].mean()
    white = atlas.volume.voxels[atlas.labels == by_name["left cerebral white matter"]].mean()
    assert ventricle < white / 2  # T1: fluid is dark
    with pytest.raises(SourceError, match="not aligned"):
        nifti_labels.check_alignment(entry, entry.volume, np.roll(atlas.labels, 40, axis=1))


def test_facts_name_only_what_is_on_the_slices_and_positions_ascend() -> None:
    source = open_source("mni152-regions")
    deep = next(r for r in source.records(source.shards()[0], 4) if isinstance(r, Record))
    assert deep.media[0].kind == "volume" and deep.media[0].spacing == (1.0, 1.0, 1.0)
    assert list(deep.media[0].positions) == sorted(deep.media[0].positions)
    assert {"left thalamus", "right thalamus", "left putamen"} <= set(deep.facts.labels)
    assert not any("temporal" in label for label in deep.facts.labels)
    assert 8 < float(deep.facts.metadata["left thalamus"].split()[0]) < 14


@given(st.integers(1, 500), st.integers(1, 40))
def test_sampled_frames_start_at_the_first_and_never_repeat(total: int, at_most: int) -> None:
    indices = video.sample_indices(total, at_most)
    assert indices[0] == 0 and indices == sorted(set(indices))
    assert len(indices) == min(total, at_most) and indices[-1] < total


def test_a_cine_without_a_clock_is_refused_and_a_vector_is_summed() -> None:
    with pytest.raises(Refusal, match="no-frame-times"):
        video.cine_times({}, 3)
    assert video.cine_times({"FrameTimeVector": [0, 50, 100]}, 3) == [0.0, 0.05, 0.15]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 10 fps: one second red, one second blue."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    red = ffmpeg.input("color=c=red:s=64x48:r=10:d=1", f="lavfi")
    blue = ffmpeg.input("color=c=blue:s=64x48:r=10:d=1", f="lavfi")
    joined = ffmpeg.concat(red, blue, v=1, a=0)
    ffmpeg.run(ffmpeg.output(joined, str(path), pix_fmt="yuv420p"), cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True)
    return path


def test_a_video_file_is_read_at_even_times(clip: Path) -> None:
    frames, times = video.read_video(clip, 4, 1024)
    assert times == [0.0, 0.5, 1.0, 1.5]
    assert [int(frame.reshape(-1, 3).mean(0).argmax()) for frame in frames] == [0, 0, 2, 2]


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fake.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(Refusal, match="undecodable"):
        video.read_video(path, 4, 1024)
