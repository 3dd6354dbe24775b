"""Volumes in LPS, label maps aligned, videos by their own clock."""

import io
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from schemas.errors import SourceError
from schemas.record import Record
from sources.base import Refusal, Source
from sources.catalogue import catalogue, load_entry, open_source
from sources.files import locate, sha256
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


@given(st.lists(st.tuples(*[st.integers(0, 19)] * 3), min_size=1, max_size=5), st.floats(0, 30))
def test_a_box_holds_the_mask_and_its_margin_and_stays_on_the_grid(
    points: list[tuple[int, ...]], margin: float
) -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[tuple(np.array(points).T)] = True
    found = volume.box(mask, (1.0, 2.0, 4.0), margin)
    assert mask[tuple(found)].sum() == mask.sum()
    for axis, size in enumerate((1.0, 2.0, 4.0)):
        low, high = min(point[axis] for point in points), max(point[axis] for point in points)
        assert found[axis].start == max(0, low - round(margin / size))
        assert found[axis].indices(20)[1] == min(20, high + round(margin / size) + 1)
    with pytest.raises(Refusal, match="empty-region"):
        volume.box(mask & False, (1.0, 1.0, 1.0), margin)


CUBE = """
id = "cube"
title = "A cube with two halves"
shape = "nifti-labels"
path = "."
pinned = "1"
records = 2
access = "open"
egress = "any"
citation = "nobody"
license = { name = "CC0-1.0" }

[volume]
file = "head.nii.gz"
labels = "labels.nii.gz"
names = "names.csv"
tissue = ["gray.nii.gz", "white.nii.gz"]
min_agreement = 0.95
sides = { "_L" = "left", "Right-" = "right" }
words = { "Lobe_Sup" = "superior lobe" }

[[volume.views]]
id = "both"
title = "both"
num_slices = 1
regions = ["Lobe_Sup"]

[[volume.views]]
id = "left"
title = "left"
num_slices = 1
regions = ["Lobe_Sup_L"]
close_up = true
"""


def write_cube(folder: Path, shift_mm: int) -> Source:
    """A 20 mm cube in an 80 mm head at 2 mm, its labels shifted to the front; side marks at both ends of names."""
    head = np.random.default_rng(7).integers(1, 50, (40, 40, 40)).astype(np.int16)
    gray, white, labels = (np.zeros((40, 40, 40), np.uint8) for _ in range(3))
    gray[8:12, 8:22, 8:22], white[12:22, 8:22, 8:22] = 200, 200
    front = slice(10 + shift_mm // 2, 20 + shift_mm // 2)
    labels[10:15, front, 10:20], labels[15:20, front, 10:20] = 1, 2  # RAS: x grows to the right
    head[labels == 1] += 200
    for name, voxels in (("head", head), ("gray", gray), ("white", white), ("labels", labels)):
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"{name}.nii.gz")
    (folder / "names.csv").write_text("index,name\n1,Lobe_Sup_L\n2,Right-Lobe_Sup\n")
    (folder / "cube.toml").write_text(CUBE)
    return open_source("cube", {"cube": load_entry(folder / "cube.toml")})


def test_aligned_labels_pass_and_slices_end_10_mm_around_them(tmp_path: Path) -> None:
    source = write_cube(tmp_path, 0)
    both, left = (item for item in source.records(source.shards()[0]) if isinstance(item, Record))
    assert both.facts.labels == ("left superior lobe", "right superior lobe")
    assert left.facts.labels == ("left superior lobe",)
    assert both.facts.metadata["left superior lobe"] == both.facts.metadata["right superior lobe"] == "4.0 mL"
    assert [(frame.width, frame.height) for frame in (*both.frames, *left.frames)] == [(20, 20), (15, 20)]
    pixels = np.asarray(Image.open(io.BytesIO(both.frames[0].data)).convert("L"))
    assert pixels[5:15, 10:15].mean() > 3 * pixels[5:15, 5:10].mean()  # the patient's left is on the right


def test_labels_shifted_by_40_mm_are_refused(tmp_path: Path) -> None:
    source = write_cube(tmp_path, 40)
    with pytest.raises(SourceError, match=r"only 0% of the label map .* not aligned"):
        list(source.records(source.shards()[0]))


COLIN27 = {
    "ch2.nii.gz": "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309",
    "aal.nii.gz": "b512dcd3f36b77f56be7a9a038134096e66314b7e8c31d25875b96bcf6991454",
    "labels_aal.csv": "fdb013300d7b887c70b6cd38ab7b92ec5f007d1bfe13acfa67d1f05a3556af86",
}
"""SHA-256 of the vendored files: the two volumes are byte for byte those of mricron-data 1.2.20211006."""


@pytest.mark.parametrize("name", COLIN27)
def test_vendored_files_are_the_pinned_ones(name: str) -> None:
    entry = catalogue()["colin27-regions"]
    assert entry.pinned == "mricron-data 1.2.20211006"
    assert sha256(locate(entry, name).read_bytes()) == COLIN27[name]
    assert "BSD-3-Clause" in locate(entry, "COPYRIGHT").read_text()


def test_the_regions_lie_on_the_heads_own_grid_and_on_their_sides() -> None:
    entry = catalogue()["colin27-regions"]
    assert entry.volume is not None
    atlas = nifti_labels.load_atlas(entry, entry.volume)
    native = volume.load(locate(entry, entry.volume.labels))
    assert np.array_equal(native.affine, atlas.volume.affine) and np.array_equal(native.voxels, atlas.labels)
    by_name = {name: label for label, name in atlas.names.items()}
    assert len(by_name) == 116 and set(by_name.values()) == set(np.unique(atlas.labels).tolist()) - {0}
    assert not [name for name in by_name if "_" in name or "cerebelum" in name]
    left = np.argwhere(atlas.labels == by_name["left hippocampus"])[:, 0].mean()
    right = np.argwhere(atlas.labels == by_name["right hippocampus"])[:, 0].mean()
    assert left > right + 20  # x grows to the patient's left
    thalamus = np.median(atlas.volume.voxels[atlas.labels == by_name["left thalamus"]])
    cortex = np.median(atlas.volume.voxels[atlas.labels == by_name["left cuneus"]])
    assert cortex + 5 < thalamus  # T1: the thalamus holds more myelin than cortex and the fluid in its folds


def test_facts_name_only_what_is_on_the_slices_and_positions_ascend() -> None:
    source = open_source("colin27-regions")
    deep, fossa = (item for item in source.records(source.shards()[0], 4) if isinstance(item, Record))
    assert deep.media[0].kind == "volume" and deep.media[0].spacing == (1.0, 1.0, 1.0)
    assert list(deep.media[0].positions) == sorted(deep.media[0].positions)
    assert {"left thalamus", "right thalamus", "left putamen"} <= set(deep.facts.labels)
    assert not any("temporal" in label for label in deep.facts.labels)
    assert 6 < float(deep.facts.metadata["left thalamus"].split()[0]) < 12
    assert fossa.facts.metadata["plane"] == "sagittal"
    assert max(frame.width for frame in fossa.frames) < 130, "217 mm are a whole profile, the face included"


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
