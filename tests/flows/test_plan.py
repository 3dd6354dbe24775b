"""Plans are pure functions of configuration, catalogue and commits; identity changes them, place does not."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from flows.params import FlowParams
from flows.plan import Plan, make_plan
from schemas.errors import ConfigError, PolicyError
from tests.support.pipelines import FLOWS, write_pipeline

URL = "http://127.0.0.1:9/v1"


def _plan(folder: Path, *names: str, **params: object) -> Plan:
    return make_plan(names or tuple(FLOWS), FlowParams(config=str(folder / "pipeline.toml"), **params))


def _fingerprints(folder: Path, *names: str) -> list[str]:
    return [task.fingerprint for task in _plan(folder, *names).tasks]


def _edit(folder: Path, old: str, new: str) -> None:
    path = folder / "pipeline.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_same_configuration_gives_the_same_tasks(tmp_path: Path) -> None:
    write_pipeline(tmp_path, URL)
    assert _fingerprints(tmp_path) == _fingerprints(tmp_path)
    assert len(set(_fingerprints(tmp_path))) == len(_fingerprints(tmp_path)) > 10


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (URL, "http://127.0.0.1:10/v1"),
        ("max_in_flight = 8", "max_in_flight = 3"),
        ('corpus = "corpus"', 'corpus = "elsewhere"'),
        ("max_retries = 2", "max_retries = 0"),
    ],
)
def test_place_does_not_enter_a_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    write_pipeline(tmp_path, URL)
    before = _fingerprints(tmp_path, "captioning")
    _edit(tmp_path, old, new)
    assert _fingerprints(tmp_path, "captioning") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('model = "test-model"', 'model = "another"'),
        ('revision = "1"', 'revision = "2"'),
        ('license = "Apache-2.0"', 'license = "CC-BY-NC-4.0"'),
        ("seed = 7", "seed = 8"),
        ("[flows.captioning]\n", "[flows.captioning]\ngates = { max_words = 59 }\n"),
        ("[flows.captioning]\n", "[flows.captioning]\noptions = { max_tokens = 99 }\n"),
        ("[flows.captioning]\n", '[flows.captioning]\noptions = { prompt = "caption-brief" }\n'),
        ("[flows.captioning]\n", '[flows.captioning]\njudge = "endpoint"\n'),
    ],
)
def test_identity_enters_every_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    write_pipeline(tmp_path, URL)
    before = _fingerprints(tmp_path, "captioning")
    _edit(tmp_path, old, new)
    assert not set(_fingerprints(tmp_path, "captioning")) & set(before)


def test_an_edited_prompt_file_changes_the_fingerprint(tmp_path: Path) -> None:
    write_pipeline(tmp_path, URL)
    prompt = tmp_path / "mine.md"
    prompt.write_text((Path("generators/prompts/caption.md")).read_text())
    _edit(tmp_path, "[flows.captioning]\n", f'[flows.captioning]\noptions = {{ prompt = "{prompt}" }}\n')
    before = _fingerprints(tmp_path, "captioning")
    prompt.write_text(prompt.read_text() + "\n")
    assert not set(_fingerprints(tmp_path, "captioning")) & set(before)


def test_ranges_cover_every_record_once(tmp_path: Path) -> None:
    write_pipeline(tmp_path, URL, samples=1_000, records_per_task=3)
    plan = _plan(tmp_path)
    for flow in plan.flows:
        for source in flow.table.sources:
            ranges = [(task.start, task.stop) for task in flow.tasks if task.source == source]
            assert ranges[0][0] == 0
            assert all(one[1] == other[0] for one, other in itertools.pairwise(ranges))
            assert ranges[-1][1] == min(1_000, plan.catalogue[source].records)


def test_a_limit_takes_the_first_records_of_each_source(tmp_path: Path) -> None:
    write_pipeline(tmp_path, URL)
    tasks = _plan(tmp_path, "captioning", limit=1).tasks
    assert [(task.source, task.start, task.stop) for task in tasks] == [
        ("pydicom-images", 0, 1),
        ("skimage-photos", 0, 1),
    ]


def test_a_tag_filter_is_part_of_the_recipe(tmp_path: Path) -> None:
    write_pipeline(tmp_path, URL)
    whole, narrow = _plan(tmp_path, "captioning"), _plan(tmp_path, "captioning", tags=("ct",))
    assert all(task.recipe["select"] == ["CT"] for task in narrow.tasks)
    assert [replace(task, recipe=whole.tasks[0].recipe).num_records for task in narrow.tasks]
    assert not {task.fingerprint for task in whole.tasks} & {task.fingerprint for task in narrow.tasks}


def test_a_source_that_the_flow_does_not_have_is_refused(tmp_path: Path) -> None:
    write_pipeline(tmp_path, URL)
    with pytest.raises(ConfigError, match="icd-10-cm"):
        _plan(tmp_path, "captioning", sources=("icd-10-cm",))


def test_a_teacher_that_may_not_see_a_source_is_refused_in_the_plan(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = Path("tests/sources/test_catalogue.py").read_text().split('MINE = """')[1].split('"""')[0]
    (tmp_path / "mine" / "mine.toml").write_text(text)
    write_pipeline(tmp_path, "https://teacher.example/v1")
    _edit(tmp_path, 'locality = "loopback"', 'locality = "remote"')
    _edit(tmp_path, 'corpus = "corpus"', 'corpus = "corpus"\ncatalog = "mine"')
    _edit(tmp_path, 'sources = ["pydicom-images", "skimage-photos"]\nsamples', 'sources = ["my-cases"]\nsamples')
    with pytest.raises(PolicyError, match="my-cases"):
        _plan(tmp_path, "captioning")
