"""Licence profiles: which rows may go where a corpus is shared, and how many stay behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from corpus.reader.corpus import Corpus
from corpus.sharing.counting import count
from schemas.errors import PolicyError
from schemas.license import LicenseClass

LicenseProfile = Literal["commercial", "research", "any"]
LICENSE_PROFILES: Final[tuple[str, ...]] = get_args(LicenseProfile)

COMMERCIAL: Final = (LicenseClass.PUBLIC_DOMAIN, LicenseClass.ATTRIBUTION, LicenseClass.SHARE_ALIKE)
KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "commercial": COMMERCIAL,
    "research": (*COMMERCIAL, LicenseClass.NON_COMMERCIAL, LicenseClass.NON_COMMERCIAL_SHARE_ALIKE),
}
"""The licence classes that a profile keeps: what is unknown counts as not allowed. `any` keeps every row."""


@dataclass(frozen=True, slots=True)
class Licensed:
    """The rows that a profile keeps; `dropped` has the others by licence class."""

    corpus: Corpus
    dropped: Mapping[str, int]


def licensed(corpus: Corpus, profile: LicenseProfile) -> Licensed:
    """The corpus under a licence profile. Raises PolicyError where a row has no class, unless all are taken."""
    if profile == "any":
        return Licensed(corpus, {})
    classes = count(corpus, ["license_class"])["license_class"]
    lacking = {name: rows for name, rows in classes.items() if name not in tuple(LicenseClass)}
    if lacking:
        named = ", ".join(f"{rows:,} with {name!r}" for name, rows in lacking.items())
        raise PolicyError(
            f"licence profile {profile!r}: rows of {corpus.snapshot.url} ({corpus.snapshot.name}) lack a licence "
            f"class: {named}; find them with corpus.open(...).samples(), "
            "withdraw them, or share with --license-profile any"
        )
    kept = KEPT[profile]
    dropped = {str(name): rows for name, rows in sorted(classes.items(), key=str) if name not in kept}
    return Licensed(corpus.filter(license_class=kept), dropped)
