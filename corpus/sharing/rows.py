"""The rows of an export, batch by batch: derived columns joined, shaped for their use, media withheld."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import pyarrow as pa

from corpus.compute import pc
from corpus.manifest.joining import joined
from corpus.reader.corpus import Corpus, pick
from corpus.sharing.features import with_features
from schemas.arrow import SAMPLE_SCHEMA

Profile = Literal["rows", "rl"]
VERIFIABLE: Final = ("yes_no", "multiple_choice")
"""Answer types that a program can check against `gold`; open answers and free text need a judge."""

WITHHELD: Final = pa.field(
    "withheld", pa.list_(pa.struct([("path", pa.string()), ("sha256", pa.string()), ("bytes", pa.int64())]))
)
"""What stands for images that may not be redistributed: their names, hashes and sizes. With `source`,
`source_revision`, `record_id` and `media` (where the original is, how it was rendered) it is a pointer
that `calabash rehydrate` follows. Null where the images are there."""

RL_COLUMNS: Final = (
    "id", "prompt", "images", "solution", "answer_type", "pass_rate", "task", "language", "split", "source", "license",
    "license_class",
)  # fmt: skip
"""A prompt-only conversational vision dataset (TRL, "Dataset formats and types"): `prompt` is messages whose
content are parts, `images` fills its image parts; the other columns reach reward functions by name."""


@dataclass(frozen=True)
class Rows:
    """A corpus's chosen rows as an export has them.

    `redistributable` names the sources whose media may be passed on; None: this export withholds nothing.
    """

    corpus: Corpus
    profile: Profile = "rows"
    redistributable: frozenset[str] | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The export's columns, with their Hugging Face features."""
        fields = [*SAMPLE_SCHEMA, *(field for table in self._derived for field in table.schema)]
        if self.redistributable is not None:
            fields.append(WITHHELD)
        if self.profile == "rl":
            by_name = {field.name: field for field in fields}
            by_name |= {
                "prompt": by_name["messages"].with_name("prompt"),
                "solution": pa.field("solution", pa.string()),
            }
            extra = [WITHHELD.name] if self.redistributable is not None else []
            fields = [by_name[name] for name in (*RL_COLUMNS, *extra)]
        return with_features(pa.schema(fields).with_metadata(SAMPLE_SCHEMA.metadata))

    def batches(self, numbers: Sequence[int]) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        """The chosen rows of some stored batches: their numbers in the snapshot, and their columns."""
        for number in numbers:
            rows, batch = self._read(number)
            if self.profile == "rl":
                keep = pc.and_(pc.is_in(batch["answer_type"], pa.array(VERIFIABLE)), pc.is_valid(batch["gold"]))
                rows, batch = [row for row, bit in zip(rows, keep.to_pylist(), strict=True) if bit], batch.filter(keep)
                batch = _prompted(batch)
            if batch.num_rows:
                yield rows, pa.record_batch([batch[name] for name in self.schema.names], schema=self.schema)

    @cached_property
    def _derived(self) -> list[pa.Table]:
        """The derived columns of all stored rows: they are read once, and hold no blobs."""
        snapshot = self.corpus.snapshot
        return [joined(self.corpus.places, one) for one in snapshot.derived if one.kind == "column"]

    def _read(self, number: int) -> tuple[list[int], pa.RecordBatch]:
        places, chosen = self.corpus.places, self.corpus.chosen.rows(number)
        stored, first = places.open(number), places.first_row[number]
        for table in self._derived:
            for name, column in zip(table.column_names, table.slice(first, stored.num_rows).columns, strict=True):
                stored = stored.append_column(name, column.combine_chunks())
        rows = list(range(stored.num_rows)) if chosen is None else chosen
        batch = stored if chosen is None else pick(stored, chosen)
        if self.redistributable is not None:
            batch = withhold(batch, self.redistributable)
        return [first + row for row in rows], batch


def withhold(batch: pa.RecordBatch, redistributable: frozenset[str]) -> pa.RecordBatch:
    """Rows whose source's media may not be passed on get null `images` and a `withheld` that names them."""
    free = [source in redistributable for source in batch["source"].to_pylist()]
    if all(free):
        return batch.append_column(WITHHELD, pa.nulls(batch.num_rows, WITHHELD.type))
    images: list[Any] = batch["images"].to_pylist()
    held = [None if ok or not row else [_pointer(image) for image in row] for ok, row in zip(free, images, strict=True)]
    left = [row if pointers is None else None for row, pointers in zip(images, held, strict=True)]
    place = batch.schema.get_field_index("images")
    batch = batch.set_column(place, batch.schema.field(place), pa.array(left, batch.schema.field(place).type))
    return batch.append_column(WITHHELD, pa.array(held, WITHHELD.type))


def _pointer(image: dict[str, Any]) -> dict[str, Any]:
    data = image["bytes"]
    return {"path": image["path"], "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _prompted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Messages without the last assistant turn as `prompt`, the gold answer as `solution`."""
    conversations: list[Any] = batch["messages"].to_pylist()
    prompts = [_before_answer(messages) for messages in conversations]
    batch = batch.append_column("prompt", pa.array(prompts, batch.schema.field("messages").type))
    return batch.append_column("solution", batch["gold"])


def _before_answer(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = max((place for place, one in enumerate(messages) if one["role"] == "assistant"), default=len(messages))
    return messages[:last]
