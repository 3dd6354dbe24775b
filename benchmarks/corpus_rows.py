"""The rows that every format is given: pictures of about 28 KB that do not compress, a text, an organ and a modality.

They are made once, below a temporary folder, and never timed. This module is imported in the peers'
environments too: it needs nothing but Python and xxhash.
"""

import json
import math
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Final

import xxhash

ORGANS: Final = (
    "Respiratory", "Nervous", "Digestive", "Cardiovascular", "Musculoskeletal", "Skin/Integumentary",
    "Urinary", "Reproductive", "Endocrine", "Immune/Lymphatic", "Hematologic", "Cellular/Tissue Level",
)  # fmt: skip
MODALITIES: Final = (
    "CT", "MRI", "X-Ray", "Ultrasound", "PET", "OCT", "Endoscopy", "Histopathology", "Fundus", "Dermoscopy",
)  # fmt: skip
WORDS: Final = [
    "axial",
    "contrast",
    "lesion",
    "margin",
    "attenuation",
    "parenchyma",
    "nodule",
    "bilateral",
    "effusion",
    "opacity",
    "cortical",
    "signal",
    "diffuse",
    "focal",
    "enhancement",
    "without",
    "evidence",
    "of",
    "fracture",
    "hemorrhage",
    "infarct",
    "edema",
    "mass",
    "stable",
    "interval",
    "change",
    "the",
    "in",
    "with",
    "and",
    "is",
    "a",
    "small",
    "large",
    "left",
    "right",
    "upper",
    "lower",
    "lobe",
    "vessel",
    "wall",
    "thickening",
    "degenerative",
    "calcified",
    "cystic",
    "dilated",
    "normal",
    "caliber",
    "consistent",
    "suggesting",
    "impression",
    "findings",
    "technique",
    "recommended",
    "follow",
    "clinical",
    "correlation",
    "adjacent",
    "structures",
]

MEDIAN_BYTES: Final = 28_000
SIGMA: Final = 0.35
"""Of the logarithm of a picture's size: the mean is 29.8 KB, as where the formats were first compared."""
NUM_WORDS: Final = 212
"""About 1.7 KB of text."""
JPEG_PREFIX: Final = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a peer stores it; `idx` is its number, which every reader hands back."""

    idx: int
    id: str
    organ: str
    modality: str
    text: str
    image: bytes


def make_rows(folder: Path, num_rows: int, seed: int = 1) -> None:
    """Write the rows (`rows.jsonl`, `images.bin`), and what the hashes of all pictures must give (`expected.json`)."""
    draws = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    total, size = 0, 0
    with (folder / "images.bin").open("wb") as images, (folder / "rows.jsonl").open("w") as lines:
        for idx in range(num_rows):
            length = int(math.exp(draws.gauss(math.log(MEDIAN_BYTES), SIGMA)))
            image = JPEG_PREFIX + draws.randbytes(max(length - len(JPEG_PREFIX), 1))
            text = " ".join(draws.choices(WORDS, k=NUM_WORDS))
            row = Row(idx, f"row-{idx:07d}", draws.choice(ORGANS), draws.choice(MODALITIES), text, b"")
            lines.write(json.dumps({**asdict(row), "image": len(image)}) + "\n")
            images.write(image)
            total ^= xxhash.xxh3_64_intdigest(image)
            size += len(image) + len(text)
    (folder / "expected.json").write_text(json.dumps({"rows": num_rows, "xor": f"{total:016x}", "bytes": size}))


def load_rows(folder: Path) -> list[Row]:
    """Every row, in memory."""
    rows: list[Row] = []
    with (folder / "images.bin").open("rb") as file, (folder / "rows.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            rows.append(Row(**{**row, "image": file.read(row["image"])}))
    return rows


def expected(folder: Path) -> tuple[int, str]:
    """How many rows there are, and the xor of the xxh3-64 of their pictures in hexadecimal."""
    found = json.loads((folder / "expected.json").read_text())
    return found["rows"], found["xor"]


def hashes(images: Iterable[bytes | memoryview]) -> int:
    """The xor of pictures' xxh3-64: it reads every byte, and the order does not matter."""
    return reduce(xor, map(xxhash.xxh3_64_intdigest, images), 0)
