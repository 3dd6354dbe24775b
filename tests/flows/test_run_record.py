import json
import os
from pathlib import Path

import pytest

from corpus.audit.verify import verify
from flows import run_record
from flows.progress import Watcher
from flows.run_record import RunRecord, read_runs, state_of
from schemas.errors import CorpusError, TeacherError
from tests.flows.test_progress import meter_of, watcher_of
from tests.support.corpora import make_corpus, tree
from tests.support.here import ended
from tests.support.sites import site


def record_of(root: Path) -> RunRecord:
    return RunRecord(root, "run", ["captioning"], "pipeline.toml")


def test_a_run_is_written_down_at_its_start_and_with_its_end(tmp_path: Path) -> None:
    record, watcher = record_of(tmp_path), watcher_of(meter_of(4))
    with record.of(watcher):
        (begun,) = read_runs(tmp_path, 9)
    (done,) = read_runs(tmp_path, 9)
    assert (begun["exit"], begun["ended"], state_of(begun)) == (None, None, "running")
    assert (done["exit"], done["error"], state_of(done)) == (0, "", "done")
    assert done["name"].endswith(f"Z-{os.getpid()}")
    assert done["ended"] >= done["started"] == watcher.began
    assert done["flows"] == ["captioning"]
    assert done["records"]["captioning"] == {"records": 10, "settled": 3, "kept": 3, "rejected": 6}
    assert done["asked"] == [
        {
            "flow": "captioning",
            "source": "icd-10-cm",
            "teacher": "vision",
            "num_requests": 4,
            "num_replayed": 0,
            "num_refused": 0,
            "prompt_tokens": 40,
            "completion_tokens": 20,
            "usd": 2.0,
        }
    ]
    assert done["teachers"]["captioning"]["vision"]["latency_p50_s"] > 0.2
    assert list(done["budgets"]) == ["budget", "flows.captioning.budget"]
    assert done["budgets"]["budget"]["spent"] == {"usd": 2.0, "tokens": 60, "requests": 4}
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [".json"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (TeacherError("the server said: patient 4711"), "exit 4 TeacherError"),
        (KeyboardInterrupt(), "exit 130 KeyboardInterrupt"),
        (ZeroDivisionError(), "exit 1 ZeroDivisionError"),
    ],
)
def test_a_run_that_fails_says_what_kind_of_error_and_not_its_words(
    tmp_path: Path, error: BaseException, state: str
) -> None:
    with pytest.raises(type(error)), record_of(tmp_path).of(Watcher()):
        raise error
    (run,) = read_runs(tmp_path, 1)
    assert state_of(run) == state
    assert "4711" not in json.dumps(run)


def test_it_is_written_again_every_few_seconds_and_not_each_time_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, watcher = record_of(tmp_path), watcher_of(meter_of(1))
    with record.of(watcher):
        watcher.flows["captioning"].num_settled = 7
        watcher.show()
        assert read_runs(tmp_path, 1)[0]["records"]["captioning"]["settled"] == 3
        monkeypatch.setattr(run_record, "WRITE_S", 0.0)
        watcher.show()
        assert read_runs(tmp_path, 1)[0]["records"]["captioning"]["settled"] == 7


def test_a_record_without_an_end_that_is_old_is_of_a_killed_run(tmp_path: Path) -> None:
    with record_of(tmp_path).of(Watcher()):
        (run,) = read_runs(tmp_path, 1)
    assert state_of({**run, "updated": run["updated"] - run_record.LOST_S}) == "killed"


def test_a_record_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    with record_of(tmp_path).of(Watcher()):
        pass
    (tmp_path / "runs" / "20990101T000000Z-1.json").write_text('{"exit": ')
    assert len(read_runs(tmp_path, 5)) == 1


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(CorpusError, match="runs"), record_of(tmp_path).of(Watcher()):
        pass


def test_records_are_no_part_of_a_corpus(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path)
    before = tree(tmp_path)
    with record_of(tmp_path).of(Watcher()):
        pass
    after = tree(tmp_path)
    assert {path.split("/")[0] for path in after.keys() - before.keys()} == {"runs"}
    assert verify(tmp_path).ok
    assert verify(tmp_path).snapshot == snapshot.name


def test_a_killed_run_leaves_its_last_state_and_is_shown(tmp_path: Path) -> None:
    with site(tmp_path / "killed") as killed:
        assert killed.run_and_kill("captioning", "--no-server", num_answers=1, delay=0.0)
        (run,) = read_runs(killed.corpus, 1)
        assert (run["command"], run["flows"], run["exit"]) == ("run", ["captioning"], None)
        path = killed.corpus / "runs" / f"{run.pop('name')}.json"
        path.write_text(json.dumps({**run, "updated": run["updated"] - 3_600}))
        shown = ended("runs", "-c", killed.config)
        assert "run captioning" in shown.out
        assert "killed" in shown.out
        assert json.loads(ended("runs", "--json", "-c", killed.config).out)[0]["exit"] is None
