"""Records that a benchmark holds: named in the corpus before generation, and counted rejects of every later run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from corpus.sealed import seal, unseal
from corpus.store.files import Files
from corpus.store.writing import Store, writing
from schemas.errors import ConfigError, CorpusError
from schemas.record import Record, Reject
from schemas.task import Task

FOLDER: Final = "contaminated"
"""One sealed JSON file per source, replaced by the next `calabash decontaminate --before`."""
FORMAT: Final = 1
REASON: Final = "contaminated"


@dataclass(frozen=True, slots=True)
class Excluded:
    """A source's records that no flow may use: (shard, position, the benchmark's item and why).

    `made_by` is what decided them: thresholds, versions, the benchmarks' revisions.
    """

    source: str
    revision: str
    records: tuple[tuple[str, int, str], ...]
    made_by: Mapping[str, Any]

    def applied(self, task: Task, revision: str) -> Task:
        """The task without them: its recipe names those in its range, so that only such tasks are made again.

        Raises ConfigError where the source has another revision than the one that was looked at.
        """
        if not self.records:
            return task
        if revision != self.revision:
            raise ConfigError(
                f"source {self.source!r}: its contaminated records were looked for at revision {self.revision}, and it "
                f"is {revision} now; run `calabash decontaminate --before` again"
            )
        here = [
            [position, why]
            for shard, position, why in self.records
            if shard == task.shard and task.start <= position < task.stop
        ]
        return replace(task, recipe={**task.recipe, "without": here}) if here else task


def read_excluded(files: Files) -> dict[str, Excluded]:
    """What every source must do without, by source. Raises CorpusError where a file is broken."""
    found: dict[str, Excluded] = {}
    for path in [listed.path for listed in files.list(FOLDER) if listed.path.endswith(".json")]:
        try:
            body = unseal(files.read(path))
            if body.pop("format") != FORMAT:
                raise ValueError(f"its format is not {FORMAT}; use the version that wrote it")
            records = tuple((shard, position, why) for shard, position, why in body.pop("records"))
            one = Excluded(records=records, **body)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorpusError(
                f"{files.url}/{path} is broken: {error}; restore it, or run `calabash decontaminate --before` again"
            ) from error
        found[one.source] = one
    return found


def write_excluded(store: Store, excluded: Sequence[Excluded]) -> None:
    """Replace what sources must do without."""
    with writing(store.url):
        for one in excluded:
            store.replace(f"{FOLDER}/{one.source}.json", seal({"format": FORMAT, **asdict(one)}))


def as_read(read: Record | Reject, why: str | None) -> Record | Reject:
    """What a task gets of its source: a reject in place of a record that a benchmark holds (`why` says which)."""
    if why is None or isinstance(read, Reject):
        return read
    return Reject(record_id=read.id, stage="source", reason=REASON, detail=why)
