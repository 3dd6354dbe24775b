"""Who may see what: refuses a request before a byte of it leaves."""

import ipaddress
from typing import Final, Literal
from urllib.parse import urlsplit

from schemas.errors import ConfigError, PolicyError
from schemas.pipeline import Teacher
from schemas.record import Access, Egress, SourceTerms

Locality = Literal["embedded", "loopback", "cluster", "remote"]

LOCAL: Final = frozenset({"embedded", "loopback", "cluster"})
"""Localities whose requests stay on this network."""


def check(source: str, terms: SourceTerms, name: str, config: Teacher) -> None:
    """PolicyError when records of `source` may not go to the teacher `name`; ConfigError for a false claim.

    Rules: a source without derivatives goes to no teacher; a credentialed or `local_only` one stays on
    this network (an attestation does not help: its agreement forbids sharing); an `attested` one may
    also go to a remote teacher with a complete attestation.
    """
    locality = locality_of(name, config)
    if not terms.license.derivatives:
        raise PolicyError(_no_derivatives(source, terms, name))
    if locality in LOCAL:
        return
    if terms.access is Access.CREDENTIALED or terms.egress is Egress.LOCAL_ONLY:
        raise PolicyError(_stays_here(source, terms, name, locality))
    if terms.egress is Egress.ATTESTED and not config.attestation.complete:
        raise PolicyError(_unattested(source, name, config))


def locality_of(name: str, config: Teacher) -> Locality:
    """Where a teacher runs, its claim verified as far as its URLs show; ConfigError when they deny it."""
    if config.is_embedded:
        return "embedded"
    if config.serve is not None:
        for url in config.base_url:
            _check_claim(name, "loopback", urlsplit(url).hostname or "")
        return "loopback"
    if config.locality == "embedded":
        raise ConfigError(
            f'[teachers.{name}]: locality = "embedded", but the run does not start {config.model!r}; '
            'say "loopback", "cluster" or "remote"'
        )
    for url in config.base_url:
        _check_claim(name, config.locality, urlsplit(url).hostname or "")
    return config.locality


def _check_claim(name: str, locality: Locality, host: str) -> None:
    address = _address(host)
    if locality == "loopback" and not _is_loopback(host, address):
        fault, truth = "is not this machine", '"cluster" or "remote"'
    elif locality == "cluster" and address is not None and address.is_global:
        fault, truth = "is a public address", '"remote"'
    else:
        return
    raise ConfigError(
        f'[teachers.{name}]: locality = "{locality}", but the host {host!r} of its base_url {fault}; '
        f"say locality = {truth}"
    )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _no_derivatives(source: str, terms: SourceTerms, name: str) -> str:
    return (
        f"source {source!r} may not go to teacher {name!r}: its license {terms.license.name!r} allows no "
        "derivatives (derivatives = false), and a generated text is one; keep the publisher's own words with "
        f'generators = {{ {source} = "verbatim" }}, or leave the source out'
    )


def _stays_here(source: str, terms: SourceTerms, name: str, locality: Locality) -> str:
    by_access = terms.access is Access.CREDENTIALED
    rule = f'access = "{terms.access}"' if by_access else f'egress = "{terms.egress}"'
    return (
        f"source {source!r} may not go to teacher {name!r}: {rule} keeps its records on this network, and "
        f'the teacher has locality = "{locality}"; use a teacher with locality "embedded", "loopback" or '
        '"cluster", or leave the source out (an attestation does not lift this rule)'
    )


def _unattested(source: str, name: str, config: Teacher) -> str:
    promises = ("zero_retention", "no_training", "no_human_review")
    missing = [promise for promise in promises if not getattr(config.attestation, promise)]
    return (
        f'source {source!r} may not go to teacher {name!r}: egress = "attested" needs every promise of a '
        f"remote operator, and these are not given: {', '.join(missing)}; set them in "
        f"[teachers.{name}.attestation] once they are signed, or use a teacher on this network"
    )
