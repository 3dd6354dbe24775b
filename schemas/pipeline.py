"""The typed view of pipeline.toml: names and numbers, every key known, every error readable."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.errors import ConfigError

FLOWS: Final = (
    "captioning",
    "long-annotation",
    "multilingual-reasoning",
    "video-description",
    "synthetic-qa",
)
"""The five flows, as they are spelled in pipeline.toml and on the command line."""

EMBEDDED_PREFIX: Final = "embedded:"
"""A teacher whose model starts with this is started and stopped by the run itself."""


Model = TypeVar("Model", bound=BaseModel)
Count = Annotated[int, Field(ge=1)]
Dollars = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A TOML table: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(Table):
    """US dollars per million tokens."""

    input: Dollars = 0.0
    output: Dollars = 0.0


class Attestation(Table):
    """What a remote endpoint's operator has signed; all true lets `attested` sources pass."""

    zero_retention: bool = False
    no_training: bool = False
    no_human_review: bool = False
    contract: str = ""

    @property
    def complete(self) -> bool:
        """Whether every promise is given."""
        return self.zero_retention and self.no_training and self.no_human_review


class Pictures(Table):
    """How frames go to a teacher: shrunk to `max_pixels`, inside the request or as files on a shared disk."""

    max_pixels: Count | None = None
    """Width times height that the teacher looks at; larger frames are shrunk once (None: as they are)."""
    send: Literal["inline", "file"] = "inline"
    """`file` sends `file://` paths: for a server on the same disk (vLLM's --allowed-local-media-path)."""
    folder: str | None = None
    """Where `file` puts the frames; None: below the corpus."""


class Batch(Table):
    """Asking through the server's batch queue (OpenAI's Files and Batches), at a discount and with patience."""

    window: str = "24h"
    max_requests: Count = 50_000
    gather_s: Annotated[float, Field(gt=0)] = 5.0
    """A batch leaves when no request came for so many seconds."""
    poll_s: Annotated[float, Field(gt=0)] = 30.0
    price_factor: Annotated[float, Field(ge=0, le=1)] = 0.5


class Teacher(Table):
    """A model behind one or more OpenAI-compatible endpoints.

    `model` and `revision` are identity and enter fingerprints; URLs, key names and limits are place.
    """

    model: str = Field(min_length=1)
    revision: str = ""
    base_url: tuple[str, ...] = ()
    serve: str | None = None
    """A command that serves the model; `{port}` in it is a free port. Started and stopped by the run."""
    serve_timeout_s: Seconds = 900.0
    api_key_env: str | None = None
    locality: Literal["embedded", "loopback", "cluster", "remote"] = "remote"
    attestation: Attestation = Attestation()
    accepts: tuple[Literal["text", "image", "video"], ...] = ("text",)
    context_tokens: Count | None = None
    """Prompt and reply together; None: not known, so never a reason to choose another teacher."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that it writes well; empty: any."""
    structured: Literal["schema", "prompt"] = "schema"
    """Whether the server holds a reply to a JSON schema, or the prompt must ask for it."""
    reasoning: Literal["field", "tags", "hidden", "none"] = "none"
    """Where the model's own thinking is: beside the content, in <think> tags, not shown, or nowhere."""
    fallback: tuple[str, ...] = ()
    """Teachers that answer what this one cannot: not capable of it, or out of order."""
    max_in_flight: Count = 16
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    max_megabytes_in_flight: Count = 256
    max_retries: Annotated[int, Field(ge=0)] = 5
    timeout_s: Seconds = 120.0
    patience_s: Seconds = 300.0
    """How long a teacher that has answered may be unreachable or busy before the run stops."""
    pictures: Pictures = Pictures()
    batch: Batch | None = None
    canary: Annotated[int, Field(ge=0, le=8)] = 3
    """Questions whose answers tell, at the start of a run, whether the model changed (0: none)."""
    price: Price = Price()
    license: str = "unknown"

    @field_validator("base_url", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def is_embedded(self) -> bool:
        """Whether the run starts this teacher itself."""
        return self.model.startswith(EMBEDDED_PREFIX)


class Budget(Table):
    """Where a run, or one of its flows, stops spending; None never stops."""

    usd: Dollars | None = None
    tokens: Count | None = None
    """Prompt and completion tokens of every teacher together."""
    requests: Count | None = None


class Replies(Table):
    """Where kept replies are copied to as they come, so that a lost machine costs one segment."""

    mirror: str | None = None
    """An object store's prefix, such as s3://bucket/replies; None: `replies` below a corpus that is on a store."""
    segment_mib: Count = 4
    segment_s: Seconds = 5.0


class Flow(Table):
    """One flow: which sources, which generator, which teacher, how much, how strict.

    `options` is checked by the generator's own `Options` and `gates` by `generators.gates.Bounds`;
    `generators` names another generator for single sources, e.g. `{ pubmedvision = "verbatim" }`.
    """

    teacher: str
    sources: tuple[str, ...] = Field(min_length=1)
    judge: str | None = None
    generator: str | None = None
    generators: Mapping[str, str] = {}
    samples: Count | None = None
    """Upper bound on records taken per source (None: all)."""
    records_per_task: Count = 4_096
    options: Mapping[str, Any] = {}
    gates: Mapping[str, Any] = {}
    budget: Budget = Budget()


class Pipeline(Table):
    """The whole of pipeline.toml. A key is known here once something reads it: none is ignored in silence."""

    corpus: str = "data/corpus"
    """A folder, or an object store's prefix such as s3://bucket/prefix."""
    work: str | None = None
    """Where replies, runs, frames and logs are kept; None: the corpus folder, or data/work for one on a store."""
    catalog: str | None = None
    """A folder of catalogue entries of your own, beside the built-in `sources/catalog`."""
    seed: int = 7
    teachers: Mapping[str, Teacher]
    budget: Budget = Budget()
    replies: Replies = Replies()
    flows: Mapping[str, Flow]

    @property
    def corpus_is_remote(self) -> bool:
        """Whether the corpus is on an object store."""
        return "://" in self.corpus and not self.corpus.startswith("file://")

    @property
    def mirror(self) -> str | None:
        """Where kept replies are copied to, if anywhere."""
        beside = f"{self.corpus.rstrip('/')}/replies" if self.corpus_is_remote else None
        return self.replies.mirror or beside

    def teacher(self, name: str) -> Teacher:
        """A teacher by name; ConfigError with the known names otherwise."""
        if name not in self.teachers:
            raise ConfigError(unknown("teacher", name, self.teachers))
        return self.teachers[name]

    def flow(self, name: str) -> Flow:
        """A flow by name; ConfigError with the known names otherwise."""
        if name not in self.flows:
            raise ConfigError(unknown("flow", name, self.flows))
        return self.flows[name]


def unknown(kind: str, name: str, known: Any) -> str:
    """The sentence for a name that is not known, with the nearest one that is."""
    names = sorted(map(str, known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {kind} {name!r}: {hint}"


def load(path: Path) -> Pipeline:
    """Read and check pipeline.toml; ConfigError names the file, the key, the value and what to do."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give one with --config, or run from the checkout") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    pipeline = validate(Pipeline, data, str(path))
    _check_names(pipeline, path)
    return pipeline


def validate(model: type[Model], data: Any, where: str) -> Model:
    """`model` from `data`; a ConfigError in plain words otherwise, one line per problem."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [_sentence(model, problem) for problem in error.errors()]
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from None


def _check_names(pipeline: Pipeline, path: Path) -> None:
    for name, flow in pipeline.flows.items():
        if name not in FLOWS:
            raise ConfigError(f"{path}: [flows.{name}]: {unknown('flow', name, FLOWS)}")
        for role in (flow.teacher, flow.judge):
            if role is not None and role not in pipeline.teachers:
                raise ConfigError(f"{path}: [flows.{name}]: {unknown('teacher', role, pipeline.teachers)}")
    for name, teacher in pipeline.teachers.items():
        for other in teacher.fallback:
            if other not in pipeline.teachers or other == name:
                others = [known for known in pipeline.teachers if known != name]
                raise ConfigError(f"{path}: [teachers.{name}]: fallback: {unknown('teacher', other, others)}")
        if not teacher.is_embedded and not teacher.base_url and teacher.serve is None:
            raise ConfigError(
                f"{path}: [teachers.{name}]: base_url is missing; give the endpoint, such as "
                f'base_url = "http://127.0.0.1:8000/v1", or a model that starts with "{EMBEDDED_PREFIX}"'
            )


def _sentence(model: type[BaseModel], problem: Any) -> str:
    """One pydantic problem as a sentence for a person."""
    location = [str(part) for part in problem["loc"]]
    where, value = ".".join(location), problem["input"]
    if problem["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return unknown("key", where, [".".join([*location[:-1], key]) for key in known])
    if problem["type"] == "missing":
        return f"key {where!r} is missing"
    shown = repr(value) if len(repr(value)) < 80 else repr(value)[:77] + "..."
    return f"key {where!r}: {problem['msg'].lower()}; got {shown}"


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that the table at `path` may have."""
    table = model
    for part in path:
        if part in table.model_fields:
            inner = _tables_in(table.model_fields[part].annotation)
            if not inner:
                return []
            table = inner[0]
    return sorted(table.model_fields)


def _tables_in(annotation: Any) -> list[type[BaseModel]]:
    """The table classes that an annotation such as `Mapping[str, Teacher]` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]
