import asyncio
import base64
import json
import re
import struct
import subprocess
import sys
import tracemalloc
import urllib.request
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image, PngImagePlugin

from schemas.errors import ConfigError, CorpusError, GenerationError
from schemas.pipeline import Pictures, Teacher
from schemas.record import Frame
from teachers.pictures import sender as subject
from teachers.pictures.sender import PictureSender, check_pictures
from tests.support import serving
from tests.support.asking import asking, frame, request, teacher
from tests.support.photographs import frame_of, opened, photograph
from tests.support.pipelines import ROOT

BUDGET = 40_000
SMALL = Pictures(max_pixels=BUDGET)
FILES = Pictures(send="file")
SMALL_FILES = Pictures(send="file", max_pixels=BUDGET)


def sender(config: Pictures, folder: Path = Path("nowhere")) -> PictureSender:
    return PictureSender(config, folder)


def decoded(url: str) -> tuple[str, bytes]:
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data, validate=True)


def path_of(url: str) -> Path:
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("file", "")
    return Path(unquote(parts.path))


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes of the frames that were really shrunk in this process."""
    seen: list[str] = []
    make = PictureSender._make

    def counted(self: PictureSender, each: Frame) -> str:
        seen.append(each.sha256)
        return make(self, each)

    monkeypatch.setattr(PictureSender, "_make", counted)
    return seen


async def test_frames_within_the_budget_go_as_they_are_in_order_and_are_never_opened() -> None:
    frames = [Frame(bytes([fill]) * 1_000, "image/png", 200, 200) for fill in range(3)]
    pictures = sender(SMALL)
    urls = await pictures.urls(frames)
    assert [decoded(url) for url in urls] == [("image/png", each.data) for each in frames]
    assert pictures.rule(frames) == "" == sender(Pictures()).rule([frame_of(photograph(900, 900))])
    assert abs(pictures.size(frames) - sum(map(len, urls))) <= 3 * subject.URL_BYTES


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(("width", "height"), [(400, 300), (201, 200), (90, 1_000), (3_000, 20)])
async def test_a_larger_frame_is_shrunk_to_the_budget_with_its_aspect_and_format(
    format: str, width: int, height: int
) -> None:
    large = frame_of(photograph(width, height), format)
    pictures = sender(SMALL)
    guessed = pictures.size([large])
    [url] = await pictures.urls([large])
    mime, data = decoded(url)
    small = opened(data)
    assert (mime, small.format, small.mode) == (large.mime, format, "RGB")
    assert 0.95 * BUDGET <= small.width * small.height <= BUDGET
    assert small.width / small.height == pytest.approx(width / height, rel=0.05)
    assert pictures.rule([large]) == f"max_pixels={BUDGET}"
    assert pictures.size([large]) == len(url) <= guessed


async def test_the_same_frame_gives_the_same_bytes_in_every_sender() -> None:
    large = frame_of(photograph(500, 400))
    assert await sender(SMALL).urls([large]) == await sender(SMALL).urls([large])


async def test_many_asks_for_one_frame_share_one_shrinking(shrunk: list[str]) -> None:
    large, other = frame_of(photograph(500, 400)), frame_of(photograph(500, 400, seed=1))
    pictures = sender(SMALL)
    answers = await asyncio.gather(*(pictures.urls([large, other]) for _ in range(20)))
    again = await pictures.urls([other, large])
    assert all(answer == again[::-1] for answer in answers)
    assert sorted(shrunk) == sorted([large.sha256, other.sha256])


async def test_an_asker_that_gives_up_takes_nobody_along(shrunk: list[str]) -> None:
    large = frame_of(photograph(1_500, 1_200))
    pictures = sender(SMALL)
    hasty, patient = (asyncio.create_task(pictures.urls([large])) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    assert opened(decoded((await patient)[0])[1]).width < 300
    assert len(shrunk) == 1


async def test_what_is_kept_is_bounded_in_bytes_and_the_oldest_go_first(
    monkeypatch: pytest.MonkeyPatch, shrunk: list[str]
) -> None:
    frames = [frame_of(photograph(300, 300, seed)) for seed in range(8)]
    sizes = [len((await sender(SMALL).urls([each]))[0]) for each in frames]
    shrunk.clear()
    monkeypatch.setattr(subject, "MAX_KEPT", int(2.5 * max(sizes)))
    pictures = sender(SMALL)
    for each in frames:
        await pictures.urls([frames[0]])  # asked all the time, so never the oldest
        await pictures.urls([each])
        assert sum(map(len, pictures._kept.values())) == pictures._num_kept_bytes <= subject.MAX_KEPT
    assert shrunk.count(frames[0].sha256) == 1
    await pictures.urls([frames[1]])
    assert shrunk.count(frames[1].sha256) == 2


def bomb(width: int, height: int) -> Frame:
    """A PNG that claims a size and holds next to nothing; its renderer believed it to be 300 x 300."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1_000)) + chunk(b"IEND", b"")
    return Frame(data, "image/png", 300, 300)


WHOLE = frame_of(photograph(400, 400))
BROKEN = {
    "no picture": Frame(b"no picture" * 100, "image/jpeg", 400, 400),
    "empty": Frame(b"", "image/png", 400, 400),
    "torn": Frame(WHOLE.data[: len(WHOLE.data) // 2], "image/jpeg", 400, 400),
    "another format": frame_of(photograph(400, 400), "GIF"),
    "short": bomb(1_000, 1_000),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_broken_picture_is_a_reject_and_the_next_one_goes_on(broken: Frame) -> None:
    pictures = sender(SMALL)
    for _ in range(2):
        with pytest.raises(GenerationError, match=r"^broken-picture: .*bytes"):
            await pictures.urls([WHOLE, broken])
    assert len(await pictures.urls([WHOLE])) == 1


@pytest.mark.parametrize(("width", "height"), [(10_400, 10_400), (60_000, 60_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_a_decompression_bomb_is_a_reject_and_never_decoded(width: int, height: int) -> None:
    with pytest.raises(GenerationError, match=r"^too-large-picture: .*pixels"):
        await sender(SMALL).urls([bomb(width, height)])


async def test_shrinking_turns_as_exif_says_and_leaves_every_word_behind() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Jane Doe, born 1970"
    turned = frame_of(photograph(500, 300), exif=exif, comment=b"Jane Doe", icc_profile=b"Jane Doe profile")
    words = PngImagePlugin.PngInfo()
    words.add_text("Patient", "Jane Doe")
    texted = frame_of(photograph(500, 300), "PNG", pnginfo=words)
    assert b"Jane Doe" in turned.data and b"Jane Doe" in texted.data
    jpeg, png = [decoded(url)[1] for url in await sender(SMALL).urls([turned, texted])]
    assert b"Jane" not in jpeg + png and b"Exif" not in jpeg
    assert opened(jpeg).height > opened(jpeg).width and opened(png).height < opened(png).width


async def test_a_png_that_shrinking_would_make_larger_is_sent_as_jpeg_unless_it_is_transparent() -> None:
    palette = photograph(400, 400).quantize(4)
    flat = frame_of(palette, "PNG")
    clear = frame_of(palette, "PNG", transparency=0)
    gray = frame_of(photograph(400, 400, mode="L"), "PNG")
    bits = frame_of(photograph(400, 400, mode="1"), "PNG")
    answers = [decoded(url) for url in await sender(Pictures(max_pixels=150_000)).urls([flat, clear, gray, bits])]
    assert [(mime, opened(data).mode) for mime, data in answers] == [
        ("image/jpeg", "RGB"),
        ("image/png", "RGBA"),
        ("image/png", "L"),
        ("image/jpeg", "L"),
    ]


async def test_files_hold_the_bytes_under_names_made_of_nothing_but_hash_and_budget(tmp_path: Path) -> None:
    folder = tmp_path / "a folder for ümlaute"
    small, large = frame_of(photograph(100, 90)), frame_of(photograph(500, 400), "PNG")
    pictures = sender(SMALL_FILES, folder)
    paths = [path_of(url) for url in await pictures.urls([small, large])]
    assert paths[0].read_bytes() == small.data
    assert opened(paths[1].read_bytes()).width < 230
    names = [path.relative_to(folder.resolve()).as_posix() for path in paths]
    assert names[0] == f"{small.sha256[:2]}/{small.sha256}.jpg"
    assert names[1] == f"{large.sha256[:2]}/{large.sha256}-{BUDGET}px.png"
    assert all(re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{64}(-[0-9]+px)?\.(png|jpg)", name) for name in names)
    assert sorted(folder.rglob("*.*")) == sorted(paths)
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in paths)  # the server may be another user
    assert pictures.size([small, large]) >= sum(len(path.as_uri()) for path in paths)


async def test_a_file_that_is_there_is_not_made_again_and_a_cut_one_is(tmp_path: Path, shrunk: list[str]) -> None:
    small, large = frame_of(photograph(100, 90)), frame_of(photograph(500, 400))
    paths = [path_of(url) for url in await sender(SMALL_FILES, tmp_path).urls([small, large])]
    before = [path.stat().st_mtime_ns for path in paths]
    unopened = Frame(large.data, large.mime, large.width, large.height)
    assert [path_of(url) for url in await sender(SMALL_FILES, tmp_path).urls([small, unopened])] == paths
    assert [path.stat().st_mtime_ns for path in paths] == before
    paths[0].write_bytes(small.data[:10])
    paths[1].write_bytes(b"")
    await sender(SMALL_FILES, tmp_path).urls([small, large])
    assert paths[0].read_bytes() == small.data and opened(paths[1].read_bytes()).width < 230


def test_processes_that_write_the_same_frames_at_once_leave_one_whole_file_each(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from schemas.pipeline import Pictures;"
        "from teachers.pictures.sender import PictureSender;"
        "from tests.support.photographs import frame_of, photograph;"
        "frames = [frame_of(photograph(300, 300, seed)) for seed in range(4)];"
        "sys.stdin.readline();"
        f"sender = PictureSender(Pictures(send='file', max_pixels={BUDGET}), Path(sys.argv[1]));"
        "print(*asyncio.run(sender.urls(frames)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    answers = [process.communicate("go\n", timeout=60)[0].split() for process in both]
    assert answers[0] == answers[1] and len(set(answers[0])) == 4
    assert sorted(path.as_uri() for path in tmp_path.rglob("*.*")) == sorted(answers[0])
    assert all(opened(path_of(url).read_bytes()).width == 200 for url in answers[0])


async def test_a_folder_that_cannot_be_written_says_which(tmp_path: Path) -> None:
    (tmp_path / "frames").write_text("a file where the folder should be")
    with pytest.raises(CorpusError, match=r"frames/.*cannot be written.*teachers\.NAME\.pictures"):
        await sender(FILES, tmp_path / "frames").urls([frame(100)])


@pytest.mark.parametrize("locality", ["loopback", "cluster", "remote"])
def test_files_are_for_servers_on_this_network(locality: str) -> None:
    config = Teacher(model="m", base_url=("http://127.0.0.1:1/v1",), locality=locality, pictures=FILES)
    if locality != "remote":
        check_pictures("t", config)
        return
    with pytest.raises(ConfigError, match=r'\[teachers\.t\.pictures\]: send = "file".*locality = "remote"'):
        check_pictures("t", config)


def test_a_folder_that_nothing_is_put_into_is_refused() -> None:
    config = teacher("http://127.0.0.1:1/v1", pictures={"folder": "/shared"})
    with pytest.raises(ConfigError, match=r"folder = '/shared' is for send = \"file\""):
        check_pictures("t", config)


async def test_a_thousand_asks_with_frames_never_hold_more_than_the_limit(tmp_path: Path) -> None:
    frames = [Frame(index.to_bytes(4) * 37_500, "image/jpeg", 512, 512) for index in range(50)]
    with serving.serve(tmp_path / "log", "--latency-ms", "5") as url:
        config = teacher(url, accepts=["image"], max_in_flight=1_000, max_megabytes_in_flight=4)
        async with asking(config, tmp_path) as (ask, _, _):
            await ask(request("warm up"))
            tracemalloc.start()
            asks = [request(f"question {index}", frames=[frames[index % 50]]) for index in range(1_000)]
            held = tracemalloc.get_traced_memory()[0]
            replies = await asyncio.gather(*map(ask, asks))
            peak = tracemalloc.get_traced_memory()[1] - held
            tracemalloc.stop()
        seen = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(f"{url}/stats").read()))
    assert len({reply.key for reply in replies}) == 1_000
    assert seen["num_answered"] == 1_001 and 10 <= seen["max_in_flight"] <= (4 << 20) // 200_000
    assert peak < 64 << 20  # all thousand as URL and as body would be 400
