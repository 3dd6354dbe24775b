"""Which entries a snapshot holds, and when a new one is made."""

import itertools
import multiprocessing
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.audit.stats import table
from corpus.audit.verify import verify
from corpus.changing.taking import take_snapshot
from corpus.commit.entries import CommitEntry, read_entries
from corpus.commit.selection import done, select
from corpus.manifest.snapshot import list_snapshots, read_snapshot
from schemas.errors import CorpusError
from schemas.task import Task
from tests.support.corpora import commit, make_corpus, missing, tree
from tests.support.samples import make_reject, make_samples, make_task


def entry_of(task: Task) -> CommitEntry:
    return CommitEntry(
        task=task.fingerprint,
        flow=task.flow,
        source=task.source,
        shard=task.shard,
        start=task.start,
        stop=task.stop,
        recipe_sha256=task.recipe_sha256,
        recipe=task.recipe,
        files=(),
        rejects=None,
        tallies=(),
        made={},
    )


def records(entries: list[CommitEntry]) -> list[tuple[str, str, str, int]]:
    return [(e.flow, e.source, e.shard, i) for e in entries for i in range(e.start, e.stop)]


ranges = st.tuples(st.integers(0, 11), st.integers(1, 12)).filter(lambda pair: pair[0] < pair[1])
where = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["s0", "s1"]))
committed = st.tuples(where, ranges, st.sampled_from(["r1", "r2"])).map(
    lambda t: make_task(*t[1], source=t[0][0], shard=t[0][1], recipe=t[2])
)
cuts = st.lists(st.integers(1, 11), max_size=4, unique=True).map(lambda inner: [0, *sorted(inner), 12])


@st.composite
def plans(draw: st.DrawFn) -> list[Task]:
    tasks: list[Task] = []
    for source, shard in draw(st.lists(where, unique=True)):
        recipe = draw(st.sampled_from(["r1", "r2"]))
        pairs = itertools.pairwise(draw(cuts))
        tasks += [make_task(a, b, source=source, shard=shard, recipe=recipe) for a, b in pairs]
    return tasks


@given(st.lists(committed, max_size=12), plans(), plans(), plans())
def test_no_snapshot_doubles_a_record_and_a_finished_plan_loses_none(
    tasks: list[Task], first: list[Task], second: list[Task], last: list[Task]
) -> None:
    entries = {task.fingerprint: entry_of(task) for task in tasks}
    previous: list[str] = []
    for plan in (first, second, last):
        chosen = select(entries, previous, plan)
        held = records(chosen)
        assert len(held) == len(set(held))
        for task in missing(entries, plan):
            entries[task.fingerprint] = entry_of(task)
        assert missing(entries, plan) == []
        chosen = select(entries, previous, plan)
        held = records(chosen)
        assert len(held) == len(set(held))
        assert {(t.flow, t.source, t.shard, i) for t in plan for i in range(t.start, t.stop)} <= set(held)
        assert all(done(entries, plan)[t.fingerprint].recipe_sha256 == t.recipe_sha256 for t in plan)
        planned = {(task.flow, task.source) for task in plan}
        kept = {task for task in previous if (entries[task].flow, entries[task].source) not in planned}
        assert kept <= {entry.task for entry in chosen}
        previous = [entry.task for entry in chosen]


@given(st.lists(committed, max_size=12), plans(), st.randoms())
def test_the_order_in_which_entries_are_found_does_not_matter(tasks: list[Task], plan: list[Task], rng) -> None:
    entries = {task.fingerprint: entry_of(task) for task in tasks}
    shuffled = list(entries.items())
    rng.shuffle(shuffled)
    assert select(entries, [], plan) == select(dict(shuffled), [], list(reversed(plan)))


def test_a_containing_entry_covers_and_wins_over_those_it_contains() -> None:
    whole, halves = make_task(0, 8), [make_task(0, 4), make_task(4, 8)]
    entries = {task.fingerprint: entry_of(task) for task in (whole, *halves)}
    assert [entry.task for entry in select(entries, [], halves)] == [whole.fingerprint]
    assert done({whole.fingerprint: entry_of(whole)}, [halves[1]])
    assert not done({halves[0].fingerprint: entry_of(halves[0])}, [whole])


def test_an_entry_that_cuts_through_a_planned_task_covers_nothing_of_that_plan() -> None:
    old, plan = make_task(0, 6), [make_task(0, 4), make_task(4, 8)]
    entries = {old.fingerprint: entry_of(old)}
    assert done(entries, [plan[0]])
    assert missing(entries, plan) == plan


def test_a_new_recipe_replaces_the_old_one_of_its_source_only(tmp_path: Path) -> None:
    old, other = make_task(0, 5), make_task(0, 5, source="other")
    commit(tmp_path, old, make_samples(0, 5))
    commit(tmp_path, other, make_samples(0, 5, source="other"))
    take_snapshot(tmp_path, [old, other])
    new = make_task(0, 5, recipe="r2")
    commit(tmp_path, new, make_samples(0, 5, text="New."))
    assert set(take_snapshot(tmp_path, [new]).entries) == {new.fingerprint, other.fingerprint}


def test_a_larger_plan_keeps_what_a_smaller_one_made(tmp_path: Path) -> None:
    small, rest = make_task(0, 5), make_task(5, 10)
    commit(tmp_path, small, make_samples(0, 5))
    take_snapshot(tmp_path, [small])
    commit(tmp_path, rest, make_samples(5, 10))
    assert take_snapshot(tmp_path, [rest]).num_rows == 10


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    snapshot = make_corpus(tmp_path, 20)
    before = tree(tmp_path)
    planned = [make_task(0, 10, flow=flow) for flow in ("captioning", "synthetic-qa")]
    assert take_snapshot(tmp_path, planned) == snapshot
    assert tree(tmp_path) == before


def test_snapshots_are_numbered_and_older_ones_stay_readable(tmp_path: Path) -> None:
    tasks = [make_task(0, 5), make_task(5, 10)]
    for number, task in enumerate(tasks, 1):
        commit(tmp_path, task, make_samples(task.start, task.stop))
        assert take_snapshot(tmp_path, tasks[:number]).name == f"v00000{number}"
    assert list_snapshots(tmp_path) == ["v000001", "v000002"]
    assert read_snapshot(tmp_path).num_rows == 10
    assert read_snapshot(tmp_path, "v000001").num_rows == 5
    with pytest.raises(CorpusError, match="no snapshot 'v000009'; there is: v000001, v000002"):
        read_snapshot(tmp_path, "v000009")


def test_a_crash_before_the_pointer_moved_is_repaired_by_the_next_snapshot(tmp_path: Path) -> None:
    first, second = make_task(0, 5), make_task(5, 10)
    commit(tmp_path, first, make_samples(0, 5))
    take_snapshot(tmp_path, [first])
    left = {path: (tmp_path / path).read_bytes() for path in ("README.md", "manifest/LATEST", ".views/all/state.json")}
    commit(tmp_path, second, make_samples(5, 10))
    snapshot = take_snapshot(tmp_path, [first, second])
    made = {path: (tmp_path / path).read_bytes() for path in left}
    for path, data in left.items():
        (tmp_path / path).write_bytes(data)
    assert read_snapshot(tmp_path).name == "v000001"
    assert take_snapshot(tmp_path, [first, second]) == snapshot
    assert {path: (tmp_path / path).read_bytes() for path in left} == made


def _grow(root: Path, source: str) -> None:
    plan = [make_task(start, start + 2, source=source) for start in range(0, 8, 2)]
    for task in plan:
        commit(root, task, make_samples(task.start, task.stop, source=source))
        take_snapshot(root, plan)


def test_processes_with_plans_of_their_own_lose_nothing_of_each_other(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_grow, args=(tmp_path, source)) for source in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert read_snapshot(tmp_path).name == list_snapshots(tmp_path)[-1]
    assert read_snapshot(tmp_path).num_rows == 24
    assert f"snapshot {list_snapshots(tmp_path)[-1]}" in (tmp_path / "README.md").read_text()
    assert verify(tmp_path).ok


def test_the_corpus_hash_is_that_of_the_rows_not_of_their_making(tmp_path: Path) -> None:
    tasks = [make_task(0, 5), make_task(5, 10)]
    for name, order in (("one", tasks), ("other", tasks[::-1])):
        for task in order:
            commit(tmp_path / name, task, make_samples(task.start, task.stop))
            take_snapshot(tmp_path / name, tasks)
    one, other = read_snapshot(tmp_path / "one"), read_snapshot(tmp_path / "other")
    assert one.corpus_sha256 == other.corpus_sha256
    assert one.pieces == other.pieces and one.sha256 == other.sha256


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"sha256": "0"}'])
def test_a_torn_commit_entry_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    entry = commit(tmp_path, make_task(), make_samples(0, 5))
    path = tmp_path / "commits" / "captioning" / f"{entry.task}.json"
    path.write_bytes(damage)
    with pytest.raises(CorpusError, match=f"{entry.task}.json is broken"):
        read_entries(tmp_path)


def test_a_commit_entry_whose_numbers_were_altered_is_an_error(tmp_path: Path) -> None:
    entry = commit(tmp_path, make_task(), make_samples(0, 5))
    path = tmp_path / "commits" / "captioning" / f"{entry.task}.json"
    path.write_text(path.read_text().replace('"num_kept": 1', '"num_kept": 2'))
    with pytest.raises(CorpusError, match="checksum does not match"):
        read_entries(tmp_path)


def test_no_corpus_has_no_entries_and_opening_it_says_what_to_run(tmp_path: Path) -> None:
    assert read_entries(tmp_path / "nowhere") == {}
    with pytest.raises(CorpusError, match="calabash run"):
        read_snapshot(tmp_path)


def test_a_lost_commit_entry_is_an_error_not_a_smaller_corpus(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    shutil.rmtree(tmp_path / "commits" / "captioning")
    with pytest.raises(CorpusError, match="missing from commits/"):
        take_snapshot(tmp_path, [])


def test_stats_sum_the_tallies_of_the_snapshot_by_cell(tmp_path: Path) -> None:
    task = make_task(0, 10)
    commit(tmp_path, task, make_samples(0, 10), [make_reject(0), make_reject(1, "not-grounded")])
    more = make_task(10, 15)
    commit(tmp_path, more, make_samples(10, 15), [make_reject(2)])
    cells = table(take_snapshot(tmp_path, [task, more]))
    assert sum(cell.num_kept for cell in cells) == 15
    first = cells[0]
    assert (first.flow, first.organ, first.modality) == ("captioning", "Digestive", "text")
    assert (first.num_kept, first.num_in, first.prompt_tokens) == (3, 6, 30)
    assert first.rejected == {"too-short": 2, "not-grounded": 1}
