"""A folder to generate in: a source of so many cases, its catalogue entry and a pipeline.toml."""

import json
import random
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.peers.cases import ORGANS, case

CATALOG: Final = """id = "cases"
title = "Made for a benchmark"
shape = "jsonl"
records = {n}
access = "open"
egress = "any"
citation = "none"
path = ".."
pinned = "1"

[license]
name = "CC0-1.0"
commercial = true
derivatives = true
redistribute_media = true

[columns]
file = "cases.jsonl"
id = "id"
caption = "case"
images = "image"
"""

PIPELINE: Final = """corpus = "corpus"
catalog = "catalog"

[teachers.bench]
base_url = "{url}"
model = "bench-model"
revision = "1"
locality = "loopback"
accepts = ["text", "image"]
license = "Apache-2.0"
max_in_flight = {in_flight}
{more}

[flows.synthetic-qa]
teacher = "bench"
sources = ["cases"]
generator = "describe"
{flow}
"""


def make_site(
    folder: Path, url: str, n: int, in_flight: int = 256, images: Path | None = None, more: str = "", flow: str = ""
) -> Path:
    """Write the cases and the configuration; pipeline.toml's path. `more` and `flow` are further TOML keys."""
    (folder / "catalog").mkdir(parents=True, exist_ok=True)
    (folder / "catalog" / "cases.toml").write_text(CATALOG.format(n=n))
    pictures = _linked(folder / "pictures", images) if images else []
    with (folder / "cases.jsonl").open("w") as file:
        for number in range(n):
            row = {"id": f"case-{number:07d}", "case": case(number), "organ": ORGANS[number % len(ORGANS)]}
            file.write(json.dumps(row | ({"image": pictures[number]} if pictures else {})) + "\n")
    path = folder / "pipeline.toml"
    path.write_text(PIPELINE.format(url=url, in_flight=in_flight, more=more, flow=flow))
    return path


def _linked(folder: Path, images: Path) -> list[str]:
    """The pictures again, in the source's own folder: it reads no others."""
    folder.mkdir(exist_ok=True)
    for path in sorted(images.iterdir()):
        if not (folder / path.name).exists():
            (folder / path.name).hardlink_to(path)
    return [f"{folder.name}/{path.name}" for path in sorted(folder.iterdir())]


def make_pictures(folder: Path, n: int, side: int = 512, kilobytes: int = 150) -> Path:
    """`n` distinct JPEGs of about so many bytes each: few noises, each with a number in its last bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = random.Random(1)
    noises = [_jpeg(draws, side, kilobytes) for _ in range(4)]
    for number in range(n):
        (folder / f"{number:06d}.jpg").write_bytes(noises[number % len(noises)] + f"{number:08d}".encode())
    return folder


def _jpeg(draws: random.Random, side: int, kilobytes: int) -> bytes:
    """Grey noise as a JPEG, at the quality that comes nearest to the size."""
    picture = Image.frombytes("L", (side, side), draws.randbytes(side * side)).convert("RGB")
    best = b""
    for quality in range(30, 96, 5):
        file = BytesIO()
        picture.save(file, "JPEG", quality=quality)
        if abs(len(file.getvalue()) - kilobytes * 1024) < abs(len(best) - kilobytes * 1024):
            best = file.getvalue()
    return best
