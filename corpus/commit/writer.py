"""Writing one task's output: samples and rejects are streamed, then published all at once or not at all."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter
from types import TracebackType
from typing import Any, Final

from corpus.commit.entries import CommitEntry, FileEntry, encode_entry, read_named
from corpus.commit.shards import LIMITS, Limits, ShardSet, StagedFile
from corpus.layout import (
    NAME_CHARS,
    NO_MODALITY,
    SPLITS,
    commit_path,
    data_folder,
    reject_path,
    shard_name,
)
from corpus.store.local import make_folder
from corpus.store.writing import Store, store_of, writing
from schemas.arrow import REJECT_SCHEMA, SAMPLE_SCHEMA, SCHEMA_VERSION
from schemas.errors import CorpusError
from schemas.license import LicenseClass
from schemas.record import Reject
from schemas.sample import Sample
from schemas.task import Tally, Task

Partition = tuple[str, str, str]
"""(license_class, modality or "text", split): rows of different partitions never share a file."""


_placing: Final = attrgetter("flow", "source", "split", "license_class")
"""What decides where a row lands, in the order of `TaskWriter._wanted`."""


class TaskWriter:
    """Streams one task's samples and rejects to a staging folder and commits them in one step.

    Use it as a context manager; leaving without `commit` removes the staging folder. Rows must come
    in record order: the same rows in the same order make the same bytes. Every method raises
    CorpusError where the corpus folder cannot be written.
    """

    def __init__(self, where: "Store | str | os.PathLike[str]", task: Task, limits: Limits = LIMITS) -> None:
        self._store = store_of(where)
        self._task = task
        self._limits = limits
        self._fingerprint = task.fingerprint
        name = f"{self._fingerprint[:NAME_CHARS]}-{os.getpid()}-{uuid.uuid4().hex[:NAME_CHARS]}"
        self._staging = self._store.scratch / name
        self._partitions: dict[Partition, ShardSet] = {}
        self._rejects: ShardSet | None = None
        self._wanted: Mapping[str, Sequence[str]] = {
            "flow": (task.flow,),
            "source": (task.source,),
            "split": SPLITS,
            "license_class": tuple(LicenseClass),
        }

    def __enter__(self) -> "TaskWriter":
        with writing(self._store.url):
            make_folder(self._staging)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for shards in (*self._partitions.values(), *filter(None, [self._rejects])):
            with contextlib.suppress(OSError):
                shards.close()
        shutil.rmtree(self._staging, ignore_errors=True)

    def add(self, sample: Sample) -> None:
        """Append one sample. Raises CorpusError where it does not belong to this task."""
        self._check(sample)
        partition = (sample.license_class, sample.modality or NO_MODALITY, sample.split)
        shards = self._partitions.get(partition)
        if shards is None:
            prefix = f"data-{len(self._partitions):03d}"
            shards = self._partitions[partition] = ShardSet(self._staging, prefix, SAMPLE_SCHEMA, self._limits)
        try:
            shards.add(sample.row())
        except OSError as error:
            with writing(self._store.url):
                raise error

    def reject(self, reject: Reject) -> None:
        """Append one reject; its `task` column is the task's fingerprint."""
        task = self._task
        row = {**asdict(reject), "source": task.source, "flow": task.flow, "task": self._fingerprint}
        with writing(self._store.url):
            if self._rejects is None:
                self._rejects = ShardSet(self._staging, "rejects", REJECT_SCHEMA, Limits(shard_bytes=1 << 62))
            self._rejects.add(row)

    def commit(self, tallies: Sequence[Tally], made: Mapping[str, Any]) -> CommitEntry:
        """Publish everything; returns the task's commit entry.

        Where another worker committed the task first, its entry is returned and this one's files are
        removed. `made` holds what may differ between runs: times, host, versions.
        """
        with writing(self._store.url):
            entry = self._entry(tuple(tallies), made, tuple(self._publish_data()), self._publish_rejects())
            won = self._store.create(commit_path(entry.flow, entry.task), encode_entry(entry))
        winner = read_named(self._store, entry.flow, entry.task)
        if not won:
            self._remove_files_unnamed_by(winner, entry)
        return winner

    def _check(self, sample: Sample) -> None:
        """Refuse a row that would land in a wrong place."""
        wanted = self._wanted
        for column, value in zip(wanted, _placing(sample), strict=True):
            if value not in wanted[column]:
                raise CorpusError(
                    f"sample {sample.id!r}: {column} is {value!r}, and task {self._task.title!r} takes "
                    f"{' or '.join(repr(str(name)) for name in wanted[column])}; correct what made the sample"
                )

    def _publish_data(self) -> Iterator[FileEntry]:
        for (license_class, modality, split), shards in sorted(self._partitions.items()):
            folder = data_folder(self._task.flow, license_class, modality)
            for staged in shards.finish():
                path = f"{folder}/{shard_name(split, self._fingerprint, staged.xxh3_128)}"
                yield self._publish(staged, path, license_class, modality, split)

    def _publish_rejects(self) -> FileEntry | None:
        if self._rejects is None:
            return None
        (staged,) = self._rejects.finish()
        return self._publish(staged, reject_path(self._task.flow, self._fingerprint, staged.xxh3_128))

    def _publish(
        self, staged: StagedFile, path: str, license_class: str = "", modality: str = "", split: str = ""
    ) -> FileEntry:
        self._store.publish(staged.path, path)
        return FileEntry(
            path=path,
            rows=staged.rows,
            bytes=staged.bytes,
            xxh3_128=staged.xxh3_128,
            license_class=license_class,
            modality=modality,
            split=split,
            schema_version=SCHEMA_VERSION,
            batches=staged.batches,
        )

    def _entry(
        self,
        tallies: tuple[Tally, ...],
        made: Mapping[str, Any],
        files: tuple[FileEntry, ...],
        rejects: FileEntry | None,
    ) -> CommitEntry:
        task = self._task
        return CommitEntry(
            task=self._fingerprint,
            flow=task.flow,
            source=task.source,
            shard=task.shard,
            start=task.start,
            stop=task.stop,
            recipe_sha256=task.recipe_sha256,
            recipe=task.recipe,
            files=files,
            rejects=rejects,
            tallies=tallies,
            made=made,
        )

    def _remove_files_unnamed_by(self, winner: CommitEntry, own: CommitEntry) -> None:
        """Two workers with the same replies made the same files: those are the winner's too."""
        named = {file.path for file in (*winner.files, winner.rejects) if file}
        for file in (*own.files, own.rejects):
            if file and file.path not in named:
                self._store.remove(file.path)
