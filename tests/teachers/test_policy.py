import itertools
from typing import Any

import pytest

from schemas.errors import ConfigError, PolicyError
from schemas.license import License
from schemas.pipeline import Attestation, Teacher
from schemas.record import Access, Egress, SourceTerms
from teachers.policy import check, locality_of
from tests.support.asking import teacher

URLS = {
    "loopback": "http://127.0.0.1:8000/v1",
    "cluster": "http://gpu-1:8000/v1",
    "remote": "https://api.example.org/v1",
}
SIGNED = Attestation(zero_retention=True, no_training=True, no_human_review=True)
TEACHERS = {
    "embedded": Teacher(model="embedded:smollm2"),
    "loopback": teacher(URLS["loopback"]),
    "cluster": teacher(URLS["cluster"], locality="cluster"),
    "remote": teacher(URLS["remote"], locality="remote"),
    "half-signed": teacher(
        URLS["remote"], locality="remote", attestation=Attestation(zero_retention=True, no_training=True)
    ),
    "signed": teacher(URLS["remote"], locality="remote", attestation=SIGNED),
}
NEAR = {"embedded", "loopback", "cluster"}


def terms_of(access: Access, egress: Egress, derivatives: bool = True) -> SourceTerms:
    return SourceTerms(License("L", derivatives=derivatives), access, egress)


@pytest.mark.parametrize(
    ("access", "egress", "derivatives", "name"), itertools.product(Access, Egress, (True, False), TEACHERS)
)
def test_every_pair_of_source_and_teacher_is_decided_by_the_table(
    access: Access, egress: Egress, derivatives: bool, name: str
) -> None:
    stays = access is Access.CREDENTIALED or egress is Egress.LOCAL_ONLY
    allowed = derivatives and (name in NEAR or (not stays and (egress is Egress.ANY or name == "signed")))
    if allowed:
        check("src", terms_of(access, egress, derivatives), name, TEACHERS[name])
    else:
        with pytest.raises(PolicyError, match=f"source 'src' may not go to teacher '{name}'"):
            check("src", terms_of(access, egress, derivatives), name, TEACHERS[name])


@pytest.mark.parametrize(
    ("terms", "name", "words"),
    [
        (terms_of(Access.CREDENTIALED, Egress.ANY), "signed", ('access = "credentialed"', "attestation")),
        (terms_of(Access.OPEN, Egress.LOCAL_ONLY), "remote", ('egress = "local_only"', '"cluster"')),
        (terms_of(Access.OPEN, Egress.ATTESTED), "half-signed", ("no_human_review", "teachers.half-signed")),
        (terms_of(Access.OPEN, Egress.ANY, False), "embedded", ("derivatives", '{ src = "verbatim" }', "'L'")),
    ],
)
def test_a_refusal_names_source_rule_value_and_way_out(terms: SourceTerms, name: str, words: tuple[str, ...]) -> None:
    with pytest.raises(PolicyError) as refused:
        check("src", terms, name, TEACHERS[name])
    for word in ("'src'", repr(name), *words):
        assert word in str(refused.value)


def test_the_embedded_teacher_is_embedded_whatever_the_config_says() -> None:
    config = Teacher(model="embedded:smollm2", locality="remote")
    assert locality_of("e", config) == "embedded"
    check("src", terms_of(Access.CREDENTIALED, Egress.LOCAL_ONLY), "e", config)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "http://gpu-1:8000/v1"},
        {"base_url": ("http://127.0.0.1:1/v1", "https://api.example.org/v1")},
        {"base_url": "http://127.0.0.1.example.org/v1"},
        {"base_url": "http://localhost@api.example.org/v1"},
        {"base_url": "http://0.0.0.0:1/v1"},
        {"base_url": "no-url"},
        {"base_url": "https://8.8.8.8/v1", "locality": "cluster"},
        {"base_url": "http://127.0.0.1:1/v1", "locality": "embedded"},
    ],
)
def test_a_locality_that_the_url_denies_is_a_config_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"\[teachers\.t\]: locality"):
        locality_of("t", teacher(changes.pop("base_url"), **changes))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "a.localhost", "LOCALHOST"])
def test_every_spelling_of_this_machine_is_loopback(host: str) -> None:
    assert locality_of("t", teacher(f"http://{host}:1/v1")) == "loopback"


@pytest.mark.parametrize("host", ["10.0.0.7", "gpu-1", "192.168.1.4"])
def test_private_hosts_may_be_a_cluster(host: str) -> None:
    assert locality_of("t", teacher(f"http://{host}:1/v1", locality="cluster")) == "cluster"
