"""Who may see what: every pair of source and teacher against a table written apart from the code."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError, PolicyError, TeacherError
from schemas.license import License
from schemas.pipeline import Attestation, Teacher
from schemas.record import Access, Egress, SourceTerms
from teachers.opening import open_teacher
from teachers.policy import check, locality_of
from teachers.replay.log import ReplyLog
from tests.support.asking import request, teacher
from tests.support.faulty import faulty
from tests.support.mishaps import Plan

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
ALL, STAYS, SIGNED_ONLY = "here unsigned signed", "here", "here signed"
"""To whom records may go: teachers on this network, and remote ones without and with a whole attestation."""

MAY_GO = {
    (Access.OPEN, Egress.ANY): ALL,
    (Access.OPEN, Egress.ATTESTED): SIGNED_ONLY,
    (Access.OPEN, Egress.LOCAL_ONLY): STAYS,
    (Access.GATED, Egress.ANY): ALL,
    (Access.GATED, Egress.ATTESTED): SIGNED_ONLY,
    (Access.GATED, Egress.LOCAL_ONLY): STAYS,
    (Access.REGISTRATION, Egress.ANY): ALL,
    (Access.REGISTRATION, Egress.ATTESTED): SIGNED_ONLY,
    (Access.REGISTRATION, Egress.LOCAL_ONLY): STAYS,
    (Access.CREDENTIALED, Egress.ANY): STAYS,
    (Access.CREDENTIALED, Egress.ATTESTED): STAYS,
    (Access.CREDENTIALED, Egress.LOCAL_ONLY): STAYS,
}
"""For a source whose licence allows derivatives; one whose licence does not goes to nobody."""

SIGNATURES = [
    Attestation(**dict(zip(("zero_retention", "no_training", "no_human_review"), promises, strict=True)))
    for promises in itertools.product((False, True), repeat=3)
]


def may_go(terms: SourceTerms, config: Teacher) -> bool:
    """What the table says of a pair."""
    whole = all((config.attestation.zero_retention, config.attestation.no_training, config.attestation.no_human_review))
    near = config.locality != "remote" or config.model.startswith("embedded:")
    place = "here" if near else "signed" if whole else "unsigned"
    return terms.license.derivatives and place in MAY_GO[terms.access, terms.egress].split()


def the_rule_and_the_way_out(terms: SourceTerms, name: str) -> tuple[str, ...]:
    """Words that a refusal must have."""
    if not terms.license.derivatives:
        return "derivatives = false", f"license {terms.license.name!r}", "verbatim", "leave the source out"
    if terms.access is Access.CREDENTIALED:
        return 'access = "credentialed"', 'use a teacher with locality "embedded", "loopback" or "cluster"'
    if terms.egress is Egress.LOCAL_ONLY:
        return 'egress = "local_only"', 'use a teacher with locality "embedded", "loopback" or "cluster"'
    return 'egress = "attested"', f"set them in [teachers.{name}.attestation]"


def assert_refusal(error: PolicyError, source: str, terms: SourceTerms, name: str) -> None:
    for words in (f"source {source!r} may not go to teacher {name!r}", *the_rule_and_the_way_out(terms, name)):
        assert words in str(error)


def terms_of(access: Access, egress: Egress, derivatives: bool = True) -> SourceTerms:
    return SourceTerms(License("L", derivatives=derivatives), access, egress)


flags = st.booleans()
licenses = st.builds(License, st.text(max_size=20), flags, flags, flags, flags, flags)
sources = st.builds(SourceTerms, licenses, st.sampled_from(Access), st.sampled_from(Egress))
remotes = st.builds(
    lambda signed, contract: teacher(
        URLS["remote"], locality="remote", attestation=signed.model_copy(update={"contract": contract})
    ),
    st.sampled_from(SIGNATURES),
    st.text(max_size=8),
)
teachers = st.one_of(remotes, st.sampled_from(list(TEACHERS.values())))
words = st.text(min_size=1, max_size=12)


@settings(deadline=None)
@given(source=words, terms=sources, name=words, config=teachers)
def test_every_pair_of_source_and_teacher_is_decided_by_the_table(
    source: str, terms: SourceTerms, name: str, config: Teacher
) -> None:
    if may_go(terms, config):
        check(source, terms, name, config)
    else:
        with pytest.raises(PolicyError) as refused:
            check(source, terms, name, config)
        assert_refusal(refused.value, source, terms, name)


def every_teacher(url: str) -> Iterator[Teacher]:
    """Every kind that the table knows, at `url`; the embedded one is not reached by a URL."""
    for locality, attestation in itertools.product(("loopback", "cluster", "remote"), SIGNATURES):
        if locality == "remote" or attestation in (SIGNATURES[0], SIGNED):
            yield teacher(url, locality=locality, attestation=attestation, canary=0)


def every_source() -> list[SourceTerms]:
    return [terms_of(*each) for each in itertools.product(Access, Egress, (True, False))]


async def test_a_refused_pair_never_makes_the_server_see_a_byte_and_an_allowed_one_is_answered(tmp_path: Path) -> None:
    num_answered = num_refused = 0
    async with faulty() as server:
        for number, config in enumerate(every_teacher(server.url)):
            with ReplyLog(tmp_path / str(number), "s", "0") as replies:
                async with open_teacher("t", config, root=tmp_path) as opened:
                    for terms in every_source():
                        before = server.num_connections, server.num_requests
                        question = request(f"question {number} of {terms}")
                        ask = opened.ask_of(source="s", terms=terms, replies=replies)
                        if may_go(terms, config):
                            await ask(question)
                            num_answered += 1
                            continue
                        with pytest.raises(PolicyError) as refused:
                            await ask(question)
                        assert_refusal(refused.value, "s", terms, "t")
                        assert (server.num_connections, server.num_requests) == before
                        num_refused += 1
    assert server.num_requests == server.paid.total() == num_answered
    assert (num_answered, num_refused) == (75, 213)


async def test_a_fallback_that_policy_forbids_is_never_used(tmp_path: Path) -> None:
    num_answered = num_stopped = 0
    async with faulty(Plan(fault="401")) as out, faulty() as spare:
        for number, fallback in enumerate(every_teacher(spare.url)):
            config = teacher(out.url, fallback=("spare",), canary=0)
            with ReplyLog(tmp_path / str(number), "s", "0") as replies:
                async with open_teacher("t", config, root=tmp_path, others={"spare": fallback}) as opened:
                    for terms in every_source():
                        before = spare.num_connections, spare.num_requests
                        ask = opened.ask_of(source="s", terms=terms, replies=replies)
                        question = request(f"question {number} of {terms}")
                        if terms.license.derivatives and may_go(terms, fallback):
                            assert (await ask(question)).teacher == "spare"
                            num_answered += 1
                            continue
                        with pytest.raises((PolicyError, TeacherError)):
                            await ask(question)
                        assert (spare.num_connections, spare.num_requests) == before
                        num_stopped += 1
    assert spare.paid.total() == num_answered
    assert (num_answered, num_stopped) == (75, 213)


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
