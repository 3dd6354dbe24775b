"""What `Corpus.filter` takes: columns and values, checked, as one Arrow expression over the samples table."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import difflib
from collections.abc import Collection, Mapping, Sequence
from types import EllipsisType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

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


def expression(filters: Filters, demo: bool) -> pc.Expression | None:
    """All filters at once; None where there are none."""
    parts = [_expression(column, values) for column, values in filters.items()]
    if not demo:
        parts.append(pc.field("grade") != "demo")
    result: pc.Expression | None = None
    for part in parts:
        result = part if result is None else result & part
    return result


def _expression(column: str, values: tuple[str | None, ...]) -> pc.Expression:
    named = [value for value in values if value is not None]
    result = pc.field(column).isin(pa.array(named, pa.string()))
    if None in values:
        result = result | pc.field(column).is_null()
    if column == "organ_system":
        result = result | pc.field("scope").isin(pa.array(named, pa.string()))
    return result
