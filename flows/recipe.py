"""What a task's rows are made from, as plain data: the recipe that enters its fingerprint."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from flows.code_hash import code_sha256
from flows.params import FlowParams
from generators import DEFAULT_GENERATOR, GENERATORS, build
from generators.base import Generator
from generators.gates import Bounds
from generators.prompt import load_prompt
from generators.thinking import check_thinking
from schemas.errors import ConfigError, PolicyError
from schemas.pipeline import Flow, Pipeline, Teacher, unknown, validate
from schemas.taxonomy import Modality, OrganSystem, Scope
from sources.catalogue import open_source
from sources.entry import Entry
from teachers.identity import identity, license_of
from teachers.policy import check

RECIPE_VERSION = 1
"""Raised when the meaning of a recipe's keys changes."""

WORK: Final = "data/work"
"""The work folder of a corpus on an object store, unless `work` names another."""


def with_wishes(pipeline: Pipeline, name: str, params: FlowParams) -> Flow:
    """The flow's table with the parameters' wishes applied; ConfigError for a name that is unknown."""
    flow = pipeline.flow(name)
    changes: dict[str, Any] = {}
    if params.teacher is not None:
        pipeline.teacher(params.teacher)
        changes["teacher"] = params.teacher
    if params.sources:
        chosen = tuple(source for source in flow.sources if source in params.sources)
        changes["sources"] = chosen
    if params.limit is not None:
        changes["samples"] = min(params.limit, flow.samples or params.limit)
    return flow.model_copy(update=changes)


def recipe_of(pipeline: Pipeline, name: str, flow: Flow, entry: Entry) -> dict[str, Any]:
    """The recipe for one source of one flow: names, numbers and hashes; no place, no clock.

    Raises ConfigError for options or gates that do not fit, PolicyError when the source is a benchmark or its
    records may not go to the flow's teacher.
    """
    where = f"[flows.{name}]"
    if entry.never_train:
        raise PolicyError(
            f"{where}: source {entry.id!r} is a benchmark (never_train = true in its catalogue entry), and no flow may "
            "make rows from one: take it out of 'sources'; `calabash decontaminate` reads it"
        )
    kind = flow.generators.get(entry.id) or flow.generator or DEFAULT_GENERATOR[name]
    # options belong to the flow's own generator; one that is named for a single source keeps its defaults
    options = {} if entry.id in flow.generators else dict(flow.options)
    generator = build(kind, options, pipeline.seed, where)
    bounds = validate(Bounds, dict(flow.gates), f"{where}.gates")
    recipe: dict[str, Any] = {
        "version": RECIPE_VERSION,
        "source": entry.id,
        "source_revision": entry.revision,
        "generator": kind,
        "generator_version": generator.version,
        "options": _options(generator, options),
        "gates": bounds.model_dump(mode="json"),
        "prompts": {prompt.name: prompt.sha256 for prompt in generator.prompts()},
        "code": code_of(kind, entry),
        "seed": pipeline.seed,
        "select": [],
        "teacher": None,
        "judge": None,
    }
    if kind != "verbatim":
        check_thinking(generator, pipeline, flow.teacher, where)
        recipe["teacher"] = _teacher(pipeline, flow.teacher, entry)
        recipe["judge"] = _teacher(pipeline, flow.judge, entry) if flow.judge else None
        if flow.judge:
            recipe["prompts"]["judge"] = load_prompt("judge").sha256
    return recipe


def selection(tags: tuple[str, ...]) -> list[str]:
    """The tag filter as it enters a recipe; ConfigError for a tag outside the taxonomy."""
    known = [str(tag) for closed in (OrganSystem, Modality, Scope) for tag in closed]
    by_folded = {tag.casefold(): tag for tag in known}
    for tag in tags:
        if tag.casefold() not in by_folded:
            raise ConfigError(f"--tag: {unknown('tag', tag, known)}")
    return sorted(by_folded[tag.casefold()] for tag in tags)


ASKING: Final = {"accepts", "structured", "reasoning", "languages", "context_tokens"}
"""A teacher's settings, besides who it is, that decide what it is asked and by whom it is replaced."""


def _teacher(pipeline: Pipeline, name: str, entry: Entry) -> Mapping[str, Any]:
    """A teacher that policy lets see the source, with those of its fallbacks that may see it too."""
    config = pipeline.teacher(name)
    check(entry.id, entry.terms, name, config)
    allowed = [other for other in config.fallback if _may_see(pipeline, other, entry)]
    return {
        **_one_teacher(name, config),
        "fallbacks": [_one_teacher(other, pipeline.teacher(other)) for other in allowed],
    }


def _one_teacher(name: str, config: Teacher) -> dict[str, Any]:
    asking = config.model_dump(mode="json", include=ASKING)
    return {
        **identity(name, config),
        "license": asdict(license_of(name, config)),
        "embedded": config.is_embedded,
        "asking": {**asking, "pictures": {"max_pixels": config.pictures.max_pixels}},
    }


def _may_see(pipeline: Pipeline, name: str, entry: Entry) -> bool:
    try:
        check(entry.id, entry.terms, name, pipeline.teacher(name))
    except PolicyError:
        return False
    return True


def _options(generator: Generator, options: Mapping[str, Any]) -> dict[str, Any]:
    """The generator's options, defaults included."""
    return type(generator).Options.model_validate(dict(options)).model_dump(mode="json")


def code_of(kind: str, entry: Entry) -> str:
    """Hash of the text that decides the rows: generator, gates, adapter, tags, stamp."""
    source = open_source(entry.id, {entry.id: entry})
    made_by = (GENERATORS[kind].__module__, type(source).__module__)
    return code_sha256((*made_by, "generators.gates", "sources.tagging.cascade", "flows.judging", "flows.stamping"))


def corpus_root(pipeline: Pipeline, config: str) -> Path | str:
    """Where the corpus is: a folder (relative paths count from pipeline.toml's), or an object store's URL."""
    return pipeline.corpus if pipeline.corpus_is_remote else _folder(pipeline.corpus, config)


def work_root(pipeline: Pipeline, config: str) -> Path:
    """The folder on this disk that has replies, runs, frames and logs: the corpus's own, unless it is on a store."""
    return _folder(pipeline.work or (WORK if pipeline.corpus_is_remote else pipeline.corpus), config)


def _folder(path: str, config: str) -> Path:
    folder = Path(path.removeprefix("file://")).expanduser()
    return folder if folder.is_absolute() else Path(config).resolve().parent / folder
