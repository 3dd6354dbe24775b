"""Fetching what an export may not carry: records from their sources, rendered again, each image checked by its hash."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (pyarrow's stubs leave type parameters open)

import hashlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.sharing.configs import CardFile, configurations, yaml_of
from corpus.sharing.formats import MEDIA_ROWS, write_parquet
from corpus.sharing.parts import MANIFEST, STATE, claim, close, finish_part, read_manifest
from corpus.sharing.rows import WITHHELD
from corpus.store.files import Files, files_of
from corpus.store.local import make_folder, write_file
from corpus.store.writing import writing
from schemas.errors import ConfigError, CorpusError, SourceError
from schemas.record import Record, Reject
from schemas.sample import content_sha256
from sources.catalogue import open_source
from sources.entry import Entry

PROBLEMS: Final = "problems.jsonl"
"""A line for every row that could not be completed: it is not in the export."""
CACHE: Final = f"{STATE}/images"

Key = tuple[str, str]
"""(source, record id)."""


@dataclass(frozen=True, slots=True)
class Rehydrated:
    """What came of it: complete rows, those among them whose images were fetched, and problems by name."""

    num_rows: int
    num_fetched: int
    problems: Mapping[str, int]


@dataclass(slots=True)
class Found:
    """What the sources gave: images lie in `folder`, named by their hashes; `problems` say why a record has none."""

    folder: Path
    problems: dict[Key, str] = field(default_factory=dict[Key, str])

    def path(self, sha256: str) -> Path:
        """Where an image of this hash is, if it is."""
        return self.folder / sha256[:2] / sha256

    def keep(self, sha256: str, data: bytes) -> None:
        """Put an image where its hash says; a killed process leaves it whole or absent."""
        final = self.path(sha256)
        make_folder(final.parent)
        aside = self.folder / f"aside-{os.getpid()}-{uuid.uuid4().hex}"
        write_file(aside, data)
        aside.replace(final)


def rehydrate(where: str, out: Path, catalogue: Mapping[str, Entry]) -> Rehydrated:
    """Complete a Parquet export (a folder or URL) into `out`; what was finished before a kill is kept.

    A row whose record is gone, or whose images come out otherwise, is left out, counted and named in
    `problems.jsonl`: no row gets a picture that is not its own. Raises ConfigError where `where` holds no
    such export or `out` something else, CorpusError where a file of it is broken.
    """
    manifest = _manifest(where)
    if manifest["about"]["format"] != "parquet":
        raise ConfigError(f"{where} is {manifest['about']['format']}; only Parquet exports can be completed")
    about = {**manifest["about"], "rehydrated_from": manifest["key"]}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    with writing(str(out)):
        whole = claim(out, key, about)
        if whole is None:
            whole = _complete(_open(where, out), manifest, out, key, about, catalogue)
    return Rehydrated(whole["num_rows"], whole["num_fetched"], whole["problems"])


def _complete(
    files: Files,
    manifest: Mapping[str, Any],
    out: Path,
    key: str,
    about: Mapping[str, Any],
    catalogue: Mapping[str, Entry],
) -> dict[str, Any]:
    found = Found(out / CACHE)
    for source, records in _wanted(files, manifest).items():
        _fetch(source, records, catalogue, found)
    parts: list[dict[str, Any]] = []
    for number, file in enumerate(manifest["files"]):
        part, _ = finish_part(out, number, file["path"], lambda path, file=file: _write(files, file, found, path))
        parts.append(part)
    lines = [line for part in parts for line in part.pop("problems")]
    write_file(out / PROBLEMS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
    kept = [part for part in parts if part["rows"]]
    configs = configurations([CardFile(one["path"], one["flow"], one["modality"], one["split"]) for one in kept])
    write_file(out / "README.md", f"---\n{yaml_of(configs)}---\n\nCompleted from {files.url}.\n".encode())
    whole = {"key": key, "about": about, "files": kept, "num_withheld": 0}
    whole |= {"num_rows": sum(part["rows"] for part in kept), "num_fetched": sum(part["fetched"] for part in kept)}
    whole["problems"] = dict(Counter(line["problem"] for line in lines))
    close(out, whole)
    return whole


def _manifest(where: str) -> dict[str, Any]:
    """The export's manifest. Raises ConfigError where there is none."""
    if repo := _repo(where):
        from corpus.sharing.hub import HubTarget

        data = HubTarget(repo).read(MANIFEST)
    else:
        try:
            data = files_of(where).read(MANIFEST)
        except FileNotFoundError:
            data = None
        except OSError as error:
            raise ConfigError(f"{where}/{MANIFEST} cannot be read: {error}") from error
    if data is None:
        raise ConfigError(f"{where} holds no export: it has no {MANIFEST}; name the folder or URL of one")
    return read_manifest(data, where)


def _open(where: str, out: Path) -> Files:
    """The export's files; those of the Hub are fetched first."""
    if repo := _repo(where):
        from corpus.sharing.hub import download

        folder = out / STATE / "hub"
        make_folder(folder)
        download(repo, folder)
        return files_of(folder)
    return files_of(where)


def _repo(where: str) -> str | None:
    """ORG/NAME of a dataset of the Hub."""
    return where.removeprefix("hf://").removeprefix("datasets/").strip("/") if where.startswith("hf://") else None


def _read(files: Files, file: Mapping[str, Any]) -> pq.ParquetFile:
    """A file of the export. Raises CorpusError where it is not the one that the manifest names."""
    where = f"{files.url}/{file['path']}"
    try:
        data = files.buffer(file["path"], 0, file["bytes"])
        if data.size != file["bytes"] or hashlib.sha256(data).hexdigest() != file["sha256"]:  # pyright: ignore
            raise CorpusError(f"{where} is not the file that its manifest names; fetch or export it again")
        return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{where} cannot be read: {error}; fetch or export it again") from error


def _wanted(files: Files, manifest: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """The hashes of the images that rows lack, by source and record."""
    wanted: dict[str, dict[str, set[str]]] = {}
    for file in manifest["files"]:
        if not file["withheld"]:
            continue
        parquet = _read(files, file)
        if "record_id" not in parquet.schema_arrow.names:
            raise ConfigError(f"{files.url} names no records (profile rl); push or export it with profile 'rows'")
        table = parquet.read(columns=["source", "record_id", WITHHELD.name])
        for row in table.to_pylist():
            hashes = {one["sha256"] for one in row[WITHHELD.name] or ()}
            if hashes:
                wanted.setdefault(row["source"], {}).setdefault(row["record_id"], set()).update(hashes)
    return wanted


def _fetch(source: str, records: Mapping[str, set[str]], catalogue: Mapping[str, Entry], found: Found) -> None:
    """Read a source until every wanted record was seen, and keep the images whose hashes are wanted."""
    missing = {id_ for id_, hashes in records.items() if not all(found.path(sha).exists() for sha in hashes)}
    if not missing:
        return
    try:
        opened = open_source(source, catalogue)
        for shard in opened.shards():
            for item in opened.records(shard):
                id_ = item.id if isinstance(item, Record) else item.record_id
                if id_ in missing:
                    missing.discard(id_)
                    _keep(item, source, records[id_], found)
                if not missing:
                    return
        problem = "record-missing"
    except ConfigError:
        problem = "source-unknown"
    except SourceError as error:
        problem = f"source-unreadable: {error}"
    found.problems.update({(source, id_): problem for id_ in missing})


def _keep(item: Record | Reject, source: str, hashes: set[str], found: Found) -> None:
    if isinstance(item, Reject):
        found.problems[source, item.record_id] = f"record-refused: {item.reason}"
        return
    for frame in item.frames:
        if frame.sha256 in hashes:
            found.keep(frame.sha256, frame.data)


def _write(files: Files, file: Mapping[str, Any], found: Found, path: Path) -> Mapping[str, Any]:
    """One file with its images back; its rows, how many of them were fetched, and the problems of the others."""
    parquet = _read(files, file)
    schema = parquet.schema_arrow
    if WITHHELD.name in schema.names:
        schema = schema.remove(schema.get_field_index(WITHHELD.name))
    schema = schema.with_metadata(_features(schema))
    problems: list[dict[str, str]] = []
    fetched: Counter[str] = Counter()

    def batches() -> Iterator[tuple[list[int], pa.RecordBatch]]:
        for batch in parquet.iter_batches(MEDIA_ROWS):
            rows: Sequence[dict[str, Any]] = batch.to_pylist()
            complete = [row for row in rows if _completed(row, found, problems, fetched)]
            if complete:
                yield [0] * len(complete), pa.RecordBatch.from_pylist(complete, schema=schema)

    num_rows = write_parquet(path, schema, batches(), path.parent)
    about = {name: file[name] for name in ("flow", "modality", "split")}
    return {**about, "rows": num_rows, "withheld": 0, "fetched": fetched["rows"], "problems": problems}


def _completed(row: dict[str, Any], found: Found, problems: list[dict[str, str]], fetched: Counter[str]) -> bool:
    """Give a row its images; False, with a problem noted, where they cannot be had."""
    held = row.pop(WITHHELD.name, None)
    if held is None:
        return True
    images = [{"bytes": _checked(found, one["sha256"]), "path": one["path"]} for one in held]
    if any(image["bytes"] is None for image in images):
        problem = found.problems.get((row["source"], row["record_id"]), "image-differs")
    elif content_sha256(tuple(row["messages"]), tuple(one["sha256"] for one in held)) != row["content_sha256"]:
        problem = "row-changed"
    else:
        row["images"] = images
        fetched["rows"] += 1
        return True
    name, _, detail = problem.partition(": ")
    where = {"id": row["id"], "source": row["source"], "record_id": row["record_id"]}
    problems.append({**where, "problem": name, "detail": detail})
    return False


def _checked(found: Found, sha256: str) -> bytes | None:
    """An image by its hash, read and hashed again; None where it is not there or not it."""
    try:
        data = found.path(sha256).read_bytes()
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def _features(schema: pa.Schema) -> dict[Any, Any]:
    """The schema's metadata without what it says of the column that is gone."""
    metadata = dict(schema.metadata or {})
    info = json.loads(metadata[b"huggingface"])
    info["info"]["features"].pop(WITHHELD.name, None)
    return {**metadata, b"huggingface": json.dumps(info).encode()}
