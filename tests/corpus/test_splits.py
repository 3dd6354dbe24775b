"""No patient, article or video crosses splits: not across flows, not across sources that share an original."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpus
from corpus.audit.verify import verify
from schemas.license import License
from schemas.record import Record, SourceTerms
from schemas.sample import split_of
from tests.support.corpora import commit
from tests.support.here import ended
from tests.support.samples import make_png, make_sample, make_task
from tests.support.sources import talk, write_flows, write_source

SAME = 'groups = "pmc"'
BY_HASH = 'groups = "pmc"\nsplits = "hash"'


def article(number: int, source: str, split: str | None = None) -> dict[str, object]:
    """A row about an article; the publishers' ids of their rows differ, the article's number does not."""
    turns = talk(f"What does figure {number} of {source} show?", f"A chest CT with {number} nodules of the lung.")
    return {"id": f"{source}-{number}", "group": f"PMC{number}", "turns": turns, "split": split}


def splits_by_group(root: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in corpus.open(root).samples().select(["group_id", "split"]).to_pylist():
        found[row["group_id"]].add(row["split"])
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of the same 120 articles, read by two flows each, and a third source with ids of its own."""
    folder = tmp_path_factory.mktemp("splits")
    for source, more in (("figures", SAME), ("captions", SAME), ("others", "")):
        write_source(folder, source, [article(number, source) for number in range(120)], more)
    config = write_flows(folder, {"captioning": ["figures", "captions"], "long-annotation": ["captions", "others"]})
    config.write_text(config.read_text().replace("records_per_task = 8", "records_per_task = 120"))
    done = ended("run", "--all", "--no-server", "--config", str(config))
    assert done.code == 0, done.err
    return folder / "corpus"


def test_a_group_has_one_split_across_flows_and_across_sources_that_share_it(root: Path) -> None:
    groups = splits_by_group(root)
    assert [name for name, splits in groups.items() if len(splits) > 1] == []
    rows = corpus.open(root).samples().to_pylist()
    shared = {row["group_id"] for row in rows if row["source"] == "figures"}
    assert len(shared) == 120
    assert shared == {row["group_id"] for row in rows if row["source"] == "captions"}
    assert all(name.startswith("pmc:PMC") for name in shared)
    assert {row["group_id"].split(":")[0] for row in rows if row["source"] == "others"} == {"others"}
    assert {split for splits in groups.values() for split in splits} == {"train", "validation", "test"}
    assert verify(root).ok


def test_the_column_alone_decides_the_hash_split(root: Path) -> None:
    assert all(splits == {split_of(name)} for name, splits in splits_by_group(root).items())


@given(st.text(min_size=1, max_size=30), st.sampled_from(["", "pmc", "youtube"]), st.sampled_from(["a", "b"]))
def test_records_of_one_group_agree_and_namespaces_do_not_mix(group: str, groups: str, source: str) -> None:
    terms = SourceTerms(License("MIT"))
    one = Record(id="1", source=source, source_revision="1", group_id=group, terms=terms, groups=groups)
    other = Record(id="2", source="c", source_revision="2", group_id=group, terms=terms, groups=groups)
    assert (one.group == other.group) == bool(groups)
    assert one.group == f"{groups or source}:{group}"
    if groups:
        assert split_of(one.group) == split_of(other.group)


def test_publishers_that_disagree_are_found_and_the_hash_makes_them_agree(tmp_path: Path) -> None:
    for source, split in (("figures", "train"), ("captions", "test")):
        write_source(tmp_path, source, [article(number, source, split) for number in range(4)], SAME)
    config = write_flows(tmp_path, {"captioning": ["figures", "captions"]})
    assert ended("run", "--all", "--no-server", "--config", str(config)).code == 0
    assert set(splits_by_group(tmp_path / "corpus")["pmc:PMC1"]) == {"train", "test"}
    problems = [problem.what for problem in verify(tmp_path / "corpus").problems]
    assert len(problems) >= 4 and all("PMC" in what for what in problems)
    for source in ("figures", "captions"):
        path = tmp_path / "mine" / f"{source}.toml"
        path.write_text(path.read_text().replace(SAME, BY_HASH))
    assert ended("run", "--all", "--no-server", "--config", str(config)).code == 0
    assert all(splits == {split_of(name)} for name, splits in splits_by_group(tmp_path / "corpus").items())
    assert verify(tmp_path / "corpus").ok


def test_questions_about_one_picture_share_a_split_where_the_publisher_names_no_group(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"q{n}",
            "images": f"{n % 2}.png",
            "turns": talk(f"<image> What is {n}?", f"A chest CT with {n} nodules of the lung."),
        }
        for n in range(6)
    ]
    write_source(tmp_path, "pictures", rows)
    for number in range(2):
        (tmp_path / "mine" / "pictures" / f"{number}.png").write_bytes(make_png(number, 40, 40))
    config = write_flows(tmp_path, {"captioning": ["pictures"]})
    done = ended("run", "--all", "--no-server", "--config", str(config))
    assert done.code == 0, done.err
    rows = corpus.open(tmp_path / "corpus").samples().to_pylist()
    assert len(rows) == 6 and len({row["group_id"] for row in rows}) == 2
    by_picture = {row["record_id"]: row["group_id"] for row in rows}
    assert by_picture["q0"] == by_picture["q2"] != by_picture["q1"] == by_picture["q3"]


LOAD = """
import json, sys
from datasets import load_dataset
found = {}
for name in ("default", "captioning", "ct"):
    splits = load_dataset(sys.argv[1], name)
    found[name] = {split: sorted(set(rows["split"])) + [len(rows)] for split, rows in splits.items()}
print(json.dumps(found))
"""


def test_load_dataset_exposes_all_three_splits(tmp_path: Path) -> None:
    from corpus.changing.taking import take_snapshot

    root, splits = tmp_path / "corpus", ["train"] * 6 + ["validation"] * 3 + ["test"] * 2
    samples = [make_sample(i, split=split, group_id=f"p{i}") for i, split in enumerate(splits)]
    commit(root, make_task(0, len(splits)), samples)
    take_snapshot(root, [make_task(0, len(splits))])
    environment = {
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(root)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    wanted = {"train": ["train", 6], "validation": ["validation", 3], "test": ["test", 2]}
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(("default", "captioning", "ct"), wanted)
