"""What `Corpus.filter` takes: columns and values, checked, as one bit per row of the samples table."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from types import EllipsisType
from typing import Any, Final

import pyarrow as pa

from corpus.compute import pc
from corpus.layout import NO_MODALITY, SPLITS, modality_slug
from schemas.errors import CorpusError
from schemas.license import LicenseClass
from schemas.taxonomy import Modality, OrganSystem, Scope

Values = str | None | Sequence[str | None]
"""One value, or several of which any will do; None is text's modality."""
Asked = Values | EllipsisType
"""`...` is a column that is not asked for; an empty sequence is one that no row can satisfy."""
Filters = Mapping[str, tuple[str | None, ...]]

CLOSED: Final[Mapping[str, Collection[str]]] = {
    "modality": (*Modality, NO_MODALITY),
    "organ_system": (*OrganSystem, *(scope for scope in Scope if scope is not Scope.ORGAN)),
    "split": SPLITS,
    "license_class": tuple(LicenseClass),
}
"""Columns whose values are known: another value is an error. An organ system may also name a scope."""


def values_of(column: str, wanted: Values) -> tuple[str | None, ...]:
    """The column's own spelling of what was asked (`"x-ray"` is `"X-Ray"`); `"text"` is null.

    Raises CorpusError, with the nearest value, where a closed column has no such value.
    """
    values = (wanted,) if wanted is None or isinstance(wanted, str) else tuple(wanted)
    if column not in CLOSED:
        return values
    spellings = {modality_slug(str(known)): str(known) for known in CLOSED[column]}
    found: list[str | None] = []
    for value in values:
        if value is None:
            found.append(None)
            continue
        if modality_slug(value) not in spellings:
            near = difflib.get_close_matches(modality_slug(value), spellings, n=1, cutoff=0.0)
            raise CorpusError(f"{column} has no value {value!r}; did you mean {spellings[near[0]]!r}?")
        known = spellings[modality_slug(value)]
        found.append(None if column == "modality" and known == NO_MODALITY else known)
    return tuple(found)


def columns_of(filters: Filters, demo: bool) -> list[str]:
    """The columns of the samples table that a filter looks at."""
    scope = ["scope"] if "organ_system" in filters else []
    return [*filters, *scope, *([] if demo else ["grade"])]


def passing(table: pa.Table, filters: Filters, demo: bool) -> "pa.ChunkedArray[Any] | None":
    """A bit for each row of a table with `columns_of`: whether it passes; None where nothing is asked."""
    parts = [_passing(table, column, values) for column, values in filters.items()]
    if not demo:
        parts.append(pc.invert(_is_in(table.column("grade"), ["demo"])))
    return reduce(pc.and_, parts) if parts else None


def may_hold(cells: Iterable[str], flows: Collection[str], filters: Filters) -> bool:
    """Whether rows of these flows and cells (`corpus.layout.cell`: organ system or scope, modality) can pass."""
    if not set(filters.get("flow", flows)).intersection(flows):
        return False
    organs, modalities = filters.get("organ_system"), filters.get("modality")
    for name in cells:
        organ, modality = name.rsplit("|", 1)
        known = None if modality == NO_MODALITY else modality
        if (organs is None or organ in organs or None in organs) and (modalities is None or known in modalities):
            return True
    return False


def _passing(table: pa.Table, column: str, values: tuple[str | None, ...]) -> "pa.ChunkedArray[Any]":
    named = [value for value in values if value is not None]
    result = _is_in(table.column(column), named)
    if None in values:
        result = pc.or_(result, pc.is_null(table.column(column)))
    if column == "organ_system":
        result = pc.or_(result, _is_in(table.column("scope"), named))
    return result


def _is_in(column: "pa.ChunkedArray[Any]", values: Sequence[str]) -> "pa.ChunkedArray[Any]":
    """Whether each of a column of tags is one of these; a dictionary array's values are compared once each."""
    named = pa.array(values, pa.string())
    if not pa.types.is_dictionary(column.type):
        return pc.is_in(column, named)
    chunks: Any = column.chunks
    return pa.chunked_array([_are_in(chunk, named) for chunk in chunks], pa.bool_())


def _are_in(chunk: Any, named: "pa.Array[Any]") -> "pa.Array[Any]":
    bits: Any = pc.is_in(chunk.dictionary, named)
    if bits.true_count in (0, len(bits)):  # one value for all rows, as most tags of a task have
        return pc.is_valid(chunk) if bits.true_count else pa.repeat(pa.scalar(False), len(chunk))
    return pc.fill_null(pc.take(bits, chunk.indices), False)
