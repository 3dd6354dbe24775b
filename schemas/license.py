"""Licences as terms that can be met: sample licence = meet(source, teacher)."""

from dataclasses import dataclass
from enum import StrEnum


class LicenseClass(StrEnum):
    """Rows of different classes never share a file."""

    PUBLIC_DOMAIN = "public-domain"
    ATTRIBUTION = "attribution"
    SHARE_ALIKE = "share-alike"
    NON_COMMERCIAL = "non-commercial"
    NON_COMMERCIAL_SHARE_ALIKE = "non-commercial-share-alike"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class License:
    """The terms of a source or of a teacher's output. What is not known counts as not allowed.

    `name` is an SPDX expression where there is one, else the owner's own words.
    """

    name: str
    commercial: bool = False
    share_alike: bool = False
    derivatives: bool = False
    redistribute_media: bool = False
    attribution: bool = True

    @property
    def license_class(self) -> LicenseClass:
        """The class that decides with which rows this one may share a file."""
        if not self.derivatives:
            return LicenseClass.UNKNOWN
        if not self.commercial:
            return LicenseClass.NON_COMMERCIAL_SHARE_ALIKE if self.share_alike else LicenseClass.NON_COMMERCIAL
        if self.share_alike:
            return LicenseClass.SHARE_ALIKE
        return LicenseClass.ATTRIBUTION if self.attribution else LicenseClass.PUBLIC_DOMAIN


def meet(source: License, teacher: License | None) -> License:
    """The stricter of both on every term; the name joins both where they differ.

    `teacher` is None for a row that no teacher wrote. A teacher's output terms bind the text, never
    the media, so `redistribute_media` stays the source's.
    """
    if teacher is None or teacher.name == source.name:
        return source
    return License(
        name=f"{source.name} AND {teacher.name}",
        commercial=source.commercial and teacher.commercial,
        share_alike=source.share_alike or teacher.share_alike,
        derivatives=source.derivatives and teacher.derivatives,
        redistribute_media=source.redistribute_media,
        attribution=source.attribution or teacher.attribution,
    )
