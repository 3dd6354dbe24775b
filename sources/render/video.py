"""Videos to a few frames with their times: DICOM cines by the header's clock, files through ffmpeg."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sources.base import Refusal
from sources.render.dicom import Dataset
from sources.render.encode import Pixels


def sample_indices(num_frames: int, at_most: int) -> list[int]:
    """At most `at_most` frame indices, evenly spaced, first frame first: the middle of nothing is skipped."""
    if num_frames <= at_most:
        return list(range(num_frames))
    return [index * num_frames // at_most for index in range(at_most)]


def cine_times(ds: Dataset, num_frames: int) -> list[float]:
    """Seconds from the start of every frame of a DICOM cine, from what its header states.

    FrameTimeVector, FrameTime (both in ms), CineRate, RecommendedDisplayFrameRate, in that order.
    Refusal where the header states none: times are never made up.
    """
    vector = ds.get("FrameTimeVector")
    if vector is not None and len(vector) == num_frames:
        return [round(float(time) / 1000.0, 4) for time in np.cumsum([float(step) for step in vector])]
    step = _frame_seconds(ds)
    return [round(index * step, 4) for index in range(num_frames)]


def _frame_seconds(ds: Dataset) -> float:
    if float(ds.get("FrameTime") or 0) > 0:
        return float(ds.FrameTime) / 1000.0
    for key in ("CineRate", "RecommendedDisplayFrameRate"):
        if float(ds.get(key) or 0) > 0:
            return 1.0 / float(ds[key].value)
    raise Refusal("no-frame-times", "the header states neither frame time nor rate")


def read_video(path: Path, at_most: int, max_side: int) -> tuple[list[Pixels], list[float]]:
    """At most `at_most` RGB frames of a video file, evenly spaced in time, and their seconds.

    Each frame is sought by presentation time, so variable rates are right. Refusal where ffmpeg cannot
    read the file or it has no duration.
    """
    seconds = duration(path)
    times = [round(seconds * index / at_most, 3) for index in range(at_most)]
    frames = [_frame_at(path, time, max_side) for time in times]
    return frames, times


def duration(path: Path) -> float:
    """Length of a video file in seconds; Refusal where it has none."""

    def output(stream: Any, wrapper: Any) -> Any:
        return wrapper.output(stream, "-", format="null")

    _, log = _ffmpeg(path, 0.0, output)
    times = re.findall(rb"time=(\d+):(\d+):(\d+\.?\d*)", log)
    if not times:
        raise Refusal("undecodable", "ffmpeg finds no video in it")
    hours, minutes, rest = times[-1]
    seconds = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    if seconds <= 0:
        raise Refusal("empty-video", "no frame has a duration")
    return seconds


def _frame_at(path: Path, time: float, max_side: int) -> Pixels:
    from sources.render.encode import decode

    side = f"min(iw,{max_side})"

    def output(stream: Any, wrapper: Any) -> Any:
        small = wrapper.filter(stream, "scale", side, -2)
        return wrapper.output(small, "pipe:", vframes=1, format="image2pipe", vcodec="png")

    data, _ = _ffmpeg(path, time, output)
    if not data:
        raise Refusal("undecodable", f"no frame at {time:g} s")
    return decode(data)


def _ffmpeg(path: Path, start: float, output: Callable[[Any, Any], Any]) -> tuple[bytes, bytes]:
    """Standard output and log of one ffmpeg run on one thread."""
    import ffmpeg

    wrapper: Any = ffmpeg
    stream = output(wrapper.input(str(path), ss=start, threads=1), wrapper)
    try:
        return wrapper.run(stream, cmd=_binary(), capture_stdout=True, capture_stderr=True, quiet=True)
    except wrapper.Error:
        raise Refusal("undecodable", "ffmpeg cannot read it") from None


@cache
def _binary() -> str:
    """The ffmpeg binary of the imageio-ffmpeg wheel: no system package is needed."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()
