"""How often one rendition is stored: images of equal bytes over captions, annotations, questions and videos."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.audit.report import MIB
from corpus.compute import pc
from corpus.layout import NO_MODALITY
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot

Place = tuple[str, str]
"""(flow, modality): the modality of a file, "text" for null."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Images of one flow and modality, or of all of them ("all"): stored, and what stays of each rendition once.

    A rendition is an image's bytes, by their SHA-256. Cells do not add up to the total where flows show the
    same rendition. `most` is how often the most frequent one is stored.
    """

    flow: str
    modality: str
    num_images: int
    num_renditions: int
    most: int
    bytes: int
    bytes_once: int

    @property
    def share_saved(self) -> float:
        """The share of the bytes that would go if each rendition were stored once; 0 without images."""
        return 1 - self.bytes_once / self.bytes if self.bytes else 0.0


@dataclass(frozen=True)
class Images:
    """Every stored image of a snapshot: 8 bytes of its SHA-256, its length in bytes, and the number of its place."""

    places: Sequence[Place]
    hashes: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    place: NDArray[np.int32]


def repeats(snapshot: Snapshot) -> list[Repeats]:
    """One per flow and modality that has images, sorted; the total over all of them last.

    Reads every image once; holds 20 bytes for each: 0.5 GB for 25M. Raises CorpusError for a broken shard.
    """
    images = read_images(snapshot)
    cells = [_repeats(*place, images, images.place == n) for n, place in enumerate(images.places)]
    total = _repeats("all", "all", images, np.ones(len(images.hashes), np.bool_))
    return [*sorted((cell for cell in cells if cell.num_images), key=lambda c: (c.flow, c.modality)), total]


def lines(found: Sequence[Repeats]) -> Iterator[str]:
    """The cells as an aligned table for a person."""
    heads = ("images", "renditions", "at most", "MiB", "MiB once", "saved")
    yield f"{'flow':<24} {'modality':<20}" + "".join(f"{head:>12}" for head in heads)
    for cell in found:
        sizes = (f"{num / MIB:,.1f}" for num in (cell.bytes, cell.bytes_once))
        counts = (f"{num:,}" for num in (cell.num_images, cell.num_renditions, cell.most))
        values = "".join(f"{value:>12}" for value in (*counts, *sizes, f"{cell.share_saved:.1%}"))
        yield f"{cell.flow:<24} {cell.modality:<20}{values}"


def read_images(snapshot: Snapshot) -> Images:
    """Hash every image of a snapshot, in table order; dropped rows count, since they are stored."""
    places: dict[Place, int] = {}
    hashes: list[NDArray[np.uint64]] = []
    lengths: list[NDArray[np.int64]] = []
    numbers: list[NDArray[np.int32]] = []
    for place, blobs in _blobs(Places(snapshot)):
        number = places.setdefault(place, len(places))
        digests = b"".join(hashlib.sha256(blob).digest()[:8] for blob in _views(blobs))
        hashes.append(np.frombuffer(digests, np.uint64))
        lengths.append(pc.fill_null(pc.binary_length(blobs), 0).to_numpy(zero_copy_only=False).astype(np.int64))
        numbers.append(np.full(len(blobs), number, np.int32))
    if not hashes:
        return Images((), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int32))
    return Images(tuple(places), np.concatenate(hashes), np.concatenate(lengths), np.concatenate(numbers))


def _blobs(places: Places) -> Iterator[tuple[Place, pa.BinaryArray]]:
    columns = places.file_columns
    for batch in range(len(places)):
        file = places.file_of(batch)
        modality = columns["modality"][file]
        images: Any = places.open(batch).column("images")
        yield (columns["flow"][file], modality or NO_MODALITY), pc.struct_field(pc.list_flatten(images), "bytes")


def _views(blobs: pa.BinaryArray) -> Iterator[memoryview | bytes]:
    """The bytes of each blob, not copied; none for a null."""
    for blob in blobs:
        buffer: Any = blob.as_buffer()
        yield b"" if buffer is None else memoryview(buffer)


def _repeats(flow: str, modality: str, images: Images, chosen: NDArray[np.bool_]) -> Repeats:
    hashes, lengths = images.hashes[chosen], images.lengths[chosen]
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    return Repeats(
        flow=flow,
        modality=modality,
        num_images=len(hashes),
        num_renditions=len(counts),
        most=int(counts.max(initial=0)),
        bytes=int(lengths.sum()),
        bytes_once=int(lengths[first].sum()),
    )
