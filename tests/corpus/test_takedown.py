"""What must go is gone from the next snapshot and from every later one, with a record of what, why, when and who."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import corpus
from corpus.changing import taking
from corpus.changing.deriving import derive, place_rows
from corpus.changing.takedown import NAME, matches, take_down, takedown_drops, with_takedowns
from corpus.changing.takedown_rules import FOLDER, Rule, kept_rules, read_rules
from corpus.changing.taking import publish_next
from corpus.manifest.places import Places
from corpus.manifest.snapshot import Snapshot, read_snapshot
from corpus.store.writing import store_of
from schemas.errors import ConfigError, CorpusError
from tests.support.corpora import commit, make_corpus, tree
from tests.support.samples import make_samples, make_task

WHY = "the family asked"


def ids(where: Path | Snapshot) -> set[str]:
    name = where.name if isinstance(where, Snapshot) else "latest"
    path = where.url if isinstance(where, Snapshot) else where
    return set(corpus.open(path, snapshot=name).samples().column("id").to_pylist())


def rows_of(root: Path, **wanted: str) -> set[str]:
    rows = corpus.open(root, snapshot="v000001").samples().to_pylist()
    return {row["id"] for row in rows if all(row[key] == value for key, value in wanted.items())}


def file_of(folder: Path, *rules: dict[str, Any]) -> Path:
    path = folder / "rules.jsonl"
    path.write_text("\n".join(json.dumps(rule) for rule in rules))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    make_corpus(root)
    return root


@pytest.mark.parametrize(
    "keys",
    [
        {"source": "demo-source", "record_id": "s0-record-3"},
        {"group_id": "demo-source:s0-patient-2"},
        {"source": "demo-source", "group_id": "s0-patient-2"},
        {"id": "captioning-demo-source-s0-000007"},
        {"license": "CC-BY-4.0"},
        {"source": "demo-source"},
    ],
)
def test_a_rule_names_rows_by_source_key_patient_licence_or_id(made: Path, keys: dict[str, str]) -> None:
    before = read_snapshot(made, "v000001")
    named = with_takedowns_of(made, before, Rule(why=WHY, **keys))
    wanted = rows_of(made, **{**keys, **({"group_id": "demo-source:s0-patient-2"} if "group_id" in keys else {})})
    assert wanted and named == wanted


def with_takedowns_of(root: Path, snapshot: Snapshot, rule: Rule) -> set[str]:
    """The ids of the rows that a rule names, by the counting that the command prints and by the rows themselves."""
    found = matches(snapshot, {"r": rule})["r"]
    rows = corpus.open(root, snapshot=snapshot.name).samples()
    from corpus.changing.takedown import _matching

    named = rows.filter(_matching(rows.select(["source", "license", "id", "record_id", "group_id"]), rule))
    assert found == named.num_rows
    return set(named.column("id").to_pylist())


def test_rows_go_from_the_next_snapshot_and_stay_in_the_old_one(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    everything = ids(tmp_path)
    gone = rows_of(tmp_path, group_id="demo-source:s0-patient-2")
    shards = {path: data for path, data in tree(tmp_path).items() if path.startswith("data/")}
    after = take_down(tmp_path, [Rule(why=WHY, group_id="demo-source:s0-patient-2", by="the publisher")])
    assert after.name == "v000002"
    assert ids(after) == everything - gone and len(gone) == 4
    assert ids(read_snapshot(tmp_path, "v000001")) == everything
    assert {path: data for path, data in tree(tmp_path).items() if path.startswith("data/")} == shards
    assert all(row["id"] not in gone for row in corpus.open(tmp_path).to_arrow().to_pylist())
    with pytest.raises(CorpusError, match="no row"):
        corpus.open(tmp_path).row(sorted(gone)[0])


def test_the_record_says_what_why_when_and_who_and_repeats_nothing(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    take_down(
        tmp_path, [Rule(why=WHY, source="demo-source", record_id="s0-record-3", by="a patient", date="2026-11-20")]
    )
    (path,) = (tmp_path / FOLDER).iterdir()
    body = json.loads(path.read_text())
    assert body["rules"] == [
        {"why": WHY, "source": "demo-source", "record_id": "s0-record-3", "group_id": None, "license": None, "id": None,
         "by": "a patient", "date": "2026-11-20"}
    ]  # fmt: skip
    assert len(body["recorded"]) == 10 and len(path.stem) == 12
    (derived,) = read_snapshot(tmp_path).derived
    assert (derived.name, derived.kind, derived.num_rows) == (NAME, "drop", 2)
    assert "Finding number 3" not in path.read_text()
    path.write_text(path.read_text().replace("demo-source", "demo-sorce"))
    with pytest.raises(CorpusError, match=r"takedown list .* is broken: .*checksum"):
        kept_rules(tmp_path)


def test_the_same_rules_again_change_nothing_and_more_rules_add_up(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    rule = Rule(why=WHY, id="captioning-demo-source-s0-000007")
    first = take_down(tmp_path, [rule])
    assert take_down(tmp_path, [rule]).name == first.name
    second = take_down(tmp_path, [Rule(why=WHY, id="captioning-demo-source-s0-000008")])
    assert second.name == "v000003" and second.derived[0].num_rows == 2
    assert len(kept_rules(tmp_path)) == 2
    assert first.sha256 != second.sha256


def test_a_rule_that_matches_nothing_is_kept_and_no_error(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    everything = ids(tmp_path)
    after = take_down(tmp_path, [Rule(why=WHY, group_id="pmc:PMC1")])
    assert ids(after) == everything and after.derived[0].num_rows == 0
    assert matches(after, kept_rules(tmp_path)) == dict.fromkeys(kept_rules(tmp_path), 0)


def publish_with_takedowns(root: Path, tasks: list[Any]) -> Snapshot:
    """What `take_snapshot` does, with the hook: the drops of an unpublished snapshot join it."""
    store = store_of(root)
    taken = taking.take_snapshot(root, tasks)

    def change(previous: Snapshot | None) -> Snapshot | None:
        assert previous is not None
        wanted = with_takedowns(store, previous)
        return None if wanted.derived == previous.derived else wanted

    return publish_next(store, change) if taken else taken


def test_rows_committed_later_are_dropped_too_and_only_new_entries_are_looked_at(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20)
    rule = Rule(why=WHY, source="demo-source", group_id="s0-patient-51")
    before = take_down(tmp_path, [rule, Rule(why=WHY, id="captioning-demo-source-s0-000001")])
    assert before.derived[0].num_rows == 1
    tasks = [make_task(start, start + 10, flow=flow) for flow in ("captioning", "synthetic-qa") for start in (0,)]
    later = make_task(100, 110)
    commit(tmp_path, later, make_samples(100, 110))
    after = publish_with_takedowns(tmp_path, [*tasks, later])
    late = {f"captioning-demo-source-s0-{number:06d}" for number in (102, 103)}
    assert not late & ids(after) and len(ids(after)) == 20 + 10 - 3
    old, new = after.derived[0].parts
    assert (old, new.entries) == (before.derived[0].parts[0], (later.fingerprint,))
    assert takedown_drops(store_of(tmp_path), after) == after.derived[0]


def test_other_drops_and_columns_stay(tmp_path: Path) -> None:
    import pyarrow as pa

    snapshot = make_corpus(tmp_path, 20)
    places = place_rows(Places(snapshot), [0])
    derive(store_of(tmp_path), snapshot, "duplicates", "drop", {}, pa.table({**places, "reason": pa.array(["twin"])}))
    after = take_down(tmp_path, [Rule(why=WHY, id="captioning-demo-source-s0-000001")])
    assert [one.name for one in after.derived] == ["duplicates", NAME]
    assert len(ids(after)) == 18


def test_no_corpus_is_an_error_and_keeps_no_rules(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no corpus"):
        take_down(tmp_path / "none", [Rule(why=WHY, id="x")])
    assert not (tmp_path / "none").exists()


def test_rules_are_read_from_toml_and_from_json_lines(tmp_path: Path) -> None:
    table = {"source": "pubmedvision", "record_id": "17", "why": "withdrawn", "date": "2026-11-20"}
    (tmp_path / "rules.toml").write_text(
        '[[rules]]\nsource = "pubmedvision"\nrecord_id = 17\nwhy = "withdrawn"\ndate = 2026-11-20\n'
    )
    from_lines = read_rules(file_of(tmp_path, table, {"license": "CC-BY-NC-4.0", "why": "terms changed"}))
    assert read_rules(tmp_path / "rules.toml") == from_lines[:1]
    assert from_lines[1].keys == {"license": "CC-BY-NC-4.0"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"why": "so"}, "rule 1: it would match every row"),
        ({"id": "x"}, "key 'why' is missing"),
        ({"id": "x", "why": "Dr. Miller asked"}, "looks like person-name"),
        ({"id": "x", "why": "so", "reason": "y"}, "unknown key 'reason'"),
        ({"record_id": "7", "why": "so"}, "unique within a source"),
        ({"group_id": "p7", "why": "so"}, "names no namespace"),
        ({"id": " ", "why": "so"}, "key 'id' is empty"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_number(
    tmp_path: Path, rule: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_rules(file_of(tmp_path, rule))
    assert "Miller" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.toml", "rules = 3", "no rule in it"),
        ("r.toml", "[[rule", "neither TOML"),
        ("r.jsonl", "{", "neither TOML"),
        ("r.jsonl", "", "no rule in it"),
        ("r.jsonl", "3", "a table of keys"),
    ],
)
def test_a_file_without_rules_is_an_error(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_rules(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rules(tmp_path / "absent.toml")


def test_terms_that_were_joined_still_match_by_one_part(tmp_path: Path) -> None:
    samples = [dataclasses.replace(one, license="CC-BY-NC-4.0 AND Apache-2.0") for one in make_samples(0, 3)]
    commit(tmp_path, make_task(0, 10), [*samples, *make_samples(3, 10)])
    snapshot = taking.take_snapshot(tmp_path, [make_task(0, 10)])
    found = matches(snapshot, {name: Rule(why=WHY, license=name) for name in ("CC-BY-NC-4.0", "Apache-2.0", "CC-BY")})
    assert found == {"CC-BY-NC-4.0": 3, "Apache-2.0": 3, "CC-BY": 0}
