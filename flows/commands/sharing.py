"""Commands that share a corpus: card, export, push, rehydrate."""

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.options import Config, Json, SnapshotName
from flows.commands.printing import OUT, print_json
from schemas.errors import ConfigError
from schemas.pipeline import load

if TYPE_CHECKING:
    from corpus.reader.corpus import Corpus
    from corpus.sharing.export import Plan
    from corpus.sharing.facts import SourceNote
    from sources.entry import Entry


class ExportFormat(StrEnum):
    """What `calabash export` writes."""

    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    JSONL = "jsonl"


class ExportProfile(StrEnum):
    """Every column, or prompts with verifiable answers for reinforcement learning."""

    ROWS = "rows"
    RL = "rl"


class Licenses(StrEnum):
    """Which licence classes may leave."""

    COMMERCIAL = "commercial"
    RESEARCH = "research"
    ANY = "any"


Repeated = "(repeatable)."
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; a killed export goes on there.")]
CardFolder = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder to write to instead of the corpus.", show_default=False)
]
Flow = Annotated[list[str] | None, typer.Option("--flow", help=f"Only this flow {Repeated}")]
Source = Annotated[list[str] | None, typer.Option("--source", "-s", help=f"Only this source {Repeated}")]
Modality = Annotated[list[str] | None, typer.Option("--modality", help=f"Only this modality, or text {Repeated}")]
Organ = Annotated[list[str] | None, typer.Option("--organ", help=f"Only this organ system or scope {Repeated}")]
Language = Annotated[list[str] | None, typer.Option("--language", help=f"Only this language, such as en {Repeated}")]
Split = Annotated[list[str] | None, typer.Option("--split", help=f"Only train, validation or test {Repeated}")]
LicenseProfile = Annotated[
    Licenses, typer.Option("--license-profile", help="commercial drops non-commercial and unknown, research unknown.")
]
Profile = Annotated[ExportProfile, typer.Option("--profile", help="rows: every column. rl: prompt, images, solution.")]
Demo = Annotated[bool, typer.Option("--demo", help="Also rows of grade demo.")]
Pointers = Annotated[
    bool, typer.Option("--pointers", help="Withhold images that may not be passed on, as push always does.")
]


def card(
    out: CardFolder = None,
    config: Config = "pipeline.toml",
    snapshot: SnapshotName = "latest",
    demo: Demo = False,
    json: Json = False,
) -> None:
    """Write the whole dataset card: README.md, its pictures and croissant.json, into the corpus or another folder."""
    from corpus.sharing.presenting import corpus_card
    from corpus.store.writing import store_of, writing

    opened, entries = _open(config, snapshot, demo)
    files = corpus_card(opened, _notes(entries), _reports(config))
    store = _store(config) if out is None else store_of(out, out)
    with writing(store.url):
        for path, data in sorted(files.items()):
            store.replace(path, data)
    _say(json, {"written_to": store.url, "files": sorted(files)}, f"wrote {len(files)} files to {store.url}")


def export(
    format: Annotated[ExportFormat, typer.Argument(help="parquet, webdataset or jsonl.")],
    out: OutFolder,
    flow: Flow = None,
    source: Source = None,
    modality: Modality = None,
    organ: Organ = None,
    language: Language = None,
    split: Split = None,
    license_profile: LicenseProfile = Licenses.RESEARCH,
    profile: Profile = ExportProfile.ROWS,
    snapshot: SnapshotName = "latest",
    demo: Demo = False,
    pointers: Pointers = False,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Write rows in another format. The same rows make the same bytes; manifest.json, last, says it is whole."""
    from corpus.sharing.export import Request
    from corpus.sharing.export import export as write
    from corpus.sharing.presenting import export_card

    opened, entries = _open(config, snapshot, demo)
    chosen = _filtered(opened, flow, source, modality, organ, language, split)
    free = _redistributable(entries) if pointers else None
    plan = _planned(chosen, Request(format.value, profile.value, license_profile.value, free))
    manifest = write(plan, out, _progress(plan))
    for path, data in export_card(plan, manifest, _notes(entries), str(out), _reports(config)).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(data)
    _say_left(json, plan)
    done = {name: manifest[name] for name in ("num_rows", "num_withheld")}
    left = plan.about["dropped_by_license"]
    text = f"{manifest['num_rows']:,} rows in {len(manifest['files']):,} files in {out}"
    _say(json, {**done, "num_files": len(manifest["files"]), "dropped_by_license": left, "out": str(out)}, text)


def push(
    target: Annotated[str, typer.Argument(help="hf://ORG/NAME, a folder, or a URL such as s3://bucket/prefix.")],
    flow: Flow = None,
    source: Source = None,
    modality: Modality = None,
    organ: Organ = None,
    language: Language = None,
    split: Split = None,
    license_profile: LicenseProfile = Licenses.RESEARCH,
    snapshot: SnapshotName = "latest",
    demo: Demo = False,
    work: Annotated[
        Path | None, typer.Option("--work", help="Folder for the export, kept for the next push.", show_default=False)
    ] = None,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Push rows as Parquet with their card; what is there already is not sent again. Images that their source does
    not let pass on stay here: rows get their hashes, and `calabash rehydrate` fetches them.
    """
    from corpus.sharing.export import Request
    from corpus.sharing.pushing import push as send
    from corpus.sharing.pushing import target_of

    opened, entries = _open(config, snapshot, demo)
    chosen = _filtered(opened, flow, source, modality, organ, language, split)
    plan = _planned(chosen, Request("parquet", "rows", license_profile.value, _redistributable(entries)))
    if not plan.parts:
        raise ConfigError("nothing to push: no row passes the filters and the licence profile")
    folder = (work or Path(config).resolve().parent / ".push") / plan.key[:12]
    done = send(plan, folder, target_of(target), _notes(entries), _reports(config), _sent)
    _say_left(json, plan)
    text = (
        f"{done.num_rows:,} rows in {done.num_files:,} files at {target}: {done.num_sent:,} sent, "
        f"{done.num_files - done.num_sent:,} were there, {done.num_removed:,} old ones removed; "
        f"the images of {done.num_withheld:,} rows stay behind"
    )
    counts = {name: getattr(done, name) for name in done.__slots__}
    _say(json, {**counts, "dropped_by_license": plan.about["dropped_by_license"], "target": target}, text)


def rehydrate(
    where: Annotated[str, typer.Argument(help="A pushed export: a folder, hf://ORG/NAME, or another URL.")],
    out: OutFolder,
    config: Config = "pipeline.toml",
    json: Json = False,
) -> None:
    """Complete an export: fetch the records that its rows point to, render them again, and check every image.

    Exit code 1 where a row could not be completed: it is in problems.jsonl, and not in the rows.
    """
    from flows.rehydrating import rehydrate as complete

    done = complete(where, out, _entries(config))
    problems = ", ".join(f"{name} {rows:,}" for name, rows in sorted(done.problems.items()))
    text = f"{done.num_rows:,} rows in {out}, {done.num_fetched:,} of them with images fetched; "
    text += f"left out: {problems} (see {out}/problems.jsonl)" if problems else "every image is what it was"
    counts = {"num_rows": done.num_rows, "num_fetched": done.num_fetched, "problems": dict(done.problems)}
    _say(json, {**counts, "out": str(out)}, text)
    raise typer.Exit(1 if done.problems else 0)


def _open(config: str, snapshot: str, demo: bool) -> "tuple[Corpus, dict[str, Entry]]":
    from corpus.manifest.snapshot import read_snapshot
    from corpus.reader.corpus import Corpus

    return Corpus(read_snapshot(_store(config), snapshot), demo=demo), _entries(config)


def _store(config: str) -> Any:
    from flows.plan import open_store

    return open_store(load(Path(config)), config)


def _entries(config: str) -> "dict[str, Entry]":
    """The catalogue, with the pipeline's own entries where there is a pipeline.toml."""
    from sources.catalogue import load_catalogue

    own = load(Path(config)).catalog if Path(config).exists() else None
    return load_catalogue(None if own is None else Path(config).resolve().parent / own)


def _notes(entries: "dict[str, Entry]") -> "list[SourceNote]":
    from corpus.sharing.facts import SourceNote

    return [
        SourceNote(one.id, one.title, one.citation, one.license.name, one.license.redistribute_media)
        for one in entries.values()
    ]


def _reports(config: str) -> dict[str, str]:
    """What the newest search for benchmarks found, as a section of a card; never an excerpt of a benchmark."""
    from corpus.sharing.text import table
    from flows.likeness_report import FOLDER
    from flows.recipe import work_root

    folder = work_root(load(Path(config)), config) / FOLDER
    found = [loads(path.read_bytes()) for path in folder.glob("contamination-*.json")]
    if not found:
        return {}
    newest = max(found, key=lambda one: one["when"])
    lines = [
        [one["benchmark"], _listed(one["thresholds"]), f"{one['num_candidates']:,}", f"{one['num_removed']:,}"]
        for one in newest["benchmarks"]
    ]
    head = f"Of {newest['num_items']:,} looked at ({newest['looked_at']}), {newest['num_removed']:,} were removed."
    return {"Benchmarks": f"{head}\n\n{table(['benchmark', 'thresholds', 'candidates', 'removed'], lines, left=2)}"}


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _redistributable(entries: "dict[str, Entry]") -> frozenset[str]:
    """Sources whose media may be passed on; one that is in no catalogue is not among them."""
    return frozenset(one.id for one in entries.values() if one.license.redistribute_media)


def _filtered(opened: "Corpus", *values: Sequence[str] | None) -> "Corpus":
    names = ("flow", "source", "modality", "organ_system", "language", "split")
    wanted: dict[str, Any] = {name: value for name, value in zip(names, values, strict=True) if value}
    return opened.filter(**wanted)


def _planned(chosen: "Corpus", request: Any) -> "Plan":
    from corpus.sharing.export import plan_export

    return plan_export(chosen, request)


def _progress(plan: "Plan") -> Any:
    def written(part: Any, was_there: bool) -> None:
        _note(f"{'kept' if was_there else 'wrote'} {part.path} ({plan.parts.index(part) + 1}/{len(plan.parts)})")

    return written


def _sent(paths: Sequence[str]) -> None:
    _note(f"sent {len(paths)} files")


def _say_left(json: bool, plan: "Plan") -> None:
    left = plan.about["dropped_by_license"]
    if left and not json:
        named = ", ".join(f"{name} {rows:,}" for name, rows in left.items())
        OUT.print(f"left behind by licence profile {plan.about['license_profile']}: {named}", highlight=False)


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _say(json: bool, document: dict[str, Any], text: str) -> None:
    if json:
        print_json(document)
    else:
        OUT.print(text, highlight=False, soft_wrap=True)
