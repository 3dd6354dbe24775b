"""`calabash dedup`, `decontaminate` and `takedown` as a person calls them, over rows that a run really made."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import corpus
from corpus.likeness.thresholds import Thresholds
from corpus.manifest.snapshot import list_snapshots, read_snapshot
from flows.commands import cleaning
from flows.params import FlowParams
from flows.plan import make_plan
from schemas.errors import ConfigError, PolicyError, SourceError
from sources.catalogue import catalogue
from sources.files import locate
from tests.support.here import ended
from tests.support.sources import talk, write_flows, write_source

app = typer.Typer()
for command in (cleaning.dedup, cleaning.decontaminate, cleaning.takedown):
    app.command()(command)

BENCHMARK = "never_train = true"
VIGNETTE = (
    "A 54-year-old woman comes to the clinic with two weeks of fever, a dry cough and pain in the left chest when she "
    "breathes in. A chest radiograph shows a small effusion. Which is the most likely diagnosis?"
)


def say(config: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--config", str(config)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def said(config: Path, *words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--config", str(config), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def run(config: Path) -> None:
    done = ended("run", "--all", "--no-server", "--config", str(config))
    assert done.code == 0, done.err


def kept(config: Path) -> set[str]:
    return set(corpus.open(config.parent / "corpus").samples().column("record_id").to_pylist())


def photograph(name: str, box: tuple[int, int, int, int], side: int, kind: str, **how: Any) -> bytes:
    """A piece of a real picture, at a size and in a coding."""
    path = locate(catalogue()["skimage-photos"], f"skimage:data/{name}")
    buffer = io.BytesIO()
    Image.open(path).convert("RGB").crop(box).resize((side, side)).save(buffer, kind, **how)
    return buffer.getvalue()


LEFT, RIGHT = (0, 0, 256, 256), (256, 256, 512, 512)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Seven records and a benchmark of three questions: four records repeat it, three only look like it."""
    rows = [
        {"id": "copied", "turns": talk(VIGNETTE, "Pleurisy of the left lung is the most likely diagnosis.")},
        {"id": "own-words", "turns": talk("What is pleurisy?", "Inflammation of the pleura around the lung.")},
        {"id": "resized", "images": "resized.jpg", "turns": talk("Describe the tissue.", "Colon glands, DAB stain.")},
        {"id": "other-picture", "images": "other.png", "turns": talk("Is there a tumor?", "No tumor of the colon.")},
        {"id": "article", "group": "PMC77", "turns": talk("What is a nodule?", "A small round lesion of the lung.")},
        {"id": "other-article", "group": "PMC78", "turns": talk("What is a cyst?", "A sac of fluid in the kidney.")},
        {"id": "asked-otherwise", "turns": talk("Which lobe is largest?", "The right lower lobe of the lung.")},
    ]
    write_source(tmp_path, "cases", rows, 'groups = "pmc"')
    asked = [
        {"id": "b1", "question": VIGNETTE, "answer": "Pleurisy"},
        {"id": "b2", "question": "Is there a tumor?", "answer": "no", "images": "b2.png"},
        {
            "id": "b3",
            "question": "What does the figure of this case of sarcoidosis show?",
            "answer": "x",
            "group": "PMC77",
        },
    ]
    write_source(tmp_path, "exam", asked, f'{BENCHMARK}\ngroups = "pmc"')
    pictures = tmp_path / "mine"
    (pictures / "exam" / "b2.png").write_bytes(photograph("ihc.png", LEFT, 256, "PNG"))
    (pictures / "cases" / "resized.jpg").write_bytes(photograph("ihc.png", LEFT, 180, "JPEG", quality=60))
    (pictures / "cases" / "other.png").write_bytes(photograph("ihc.png", RIGHT, 256, "PNG"))
    return write_flows(tmp_path, {"captioning": ["cases"]})


HELD = {"copied", "resized", "article"}
ALL = {"copied", "own-words", "resized", "other-picture", "article", "other-article", "asked-otherwise"}


def test_no_flow_may_list_a_benchmark(tmp_path: Path) -> None:
    config = write_flows(tmp_path, {"captioning": ["vqa-rad"]})
    (tmp_path / "mine").mkdir()
    with pytest.raises(PolicyError, match=r"\[flows\.captioning\]: source 'vqa-rad' is a benchmark .* take it out"):
        make_plan(("captioning",), FlowParams(config=str(config)))


def test_absent_benchmarks_that_no_flow_uses_stop_nothing(config: Path) -> None:
    done = ended("config", "check", "--config", str(config))
    assert done.code == 0 and "is sound" in done.out
    assert ended("status", "--config", str(config)).code == 0


def test_rows_that_hold_a_benchmark_go_and_others_stay(config: Path) -> None:
    run(config)
    assert kept(config) == ALL
    told = said(config, "decontaminate", "exam")
    assert kept(config) == ALL - HELD
    assert (told["num_items"], told["num_removed"], told["snapshot"]) == (7, 3, "v000002")
    (found,) = told["benchmarks"]
    assert (found["benchmark"], found["num_items"], found["num_rejected"]) == ("exam", 3, 0)
    assert found["removed"] == {"benchmark-text": 1, "benchmark-key": 1, "benchmark-image": 1}
    assert found["num_candidates"] >= 3 and found["thresholds"]["coverage"] == Thresholds().coverage
    examples = {example["id"].split("/")[-1]: example for example in found["examples"]}
    assert set(examples) == {f"{id}#0" for id in HELD}
    assert examples["copied#0"]["benchmark_item"] == "b1" and "54-year-old" in examples["copied#0"]["text"]
    (derived,) = read_snapshot(config.parent / "corpus").derived
    assert (derived.name, derived.kind, derived.num_rows) == ("contamination", "drop", 3)


def test_the_report_is_a_document_and_a_page_below_the_work_folder(config: Path) -> None:
    run(config)
    told = said(config, "decontaminate", "exam", "--dry-run")
    assert list_snapshots(config.parent / "corpus") == ["v000001"] and kept(config) == ALL
    page = Path(told["report"])
    assert page.parent == config.parent / "corpus" / "reports"
    document = json.loads(page.with_suffix(".json").read_text())
    assert document == {key: value for key, value in told.items() if key not in ("snapshot", "report")}
    assert document["made_by"]["benchmarks"]["exam"]["revision"].startswith("1+")
    text = page.read_text()
    assert "# Contamination in v000001" in text and "| exam |" in text and "benchmark-image 1" in text


def test_looking_again_gives_the_same_and_rows_of_an_older_search_are_looked_at_again(config: Path) -> None:
    run(config)
    first = said(config, "decontaminate", "exam")
    again = said(config, "decontaminate", "exam")
    assert again["num_items"] == first["num_items"] == 7
    assert again["snapshot"] == first["snapshot"] == "v000002"


def test_records_are_screened_before_generation_and_become_counted_rejects(config: Path) -> None:
    def fingerprints() -> list[str]:
        return [task.fingerprint for task in make_plan(("captioning",), FlowParams(config=str(config))).tasks]

    config.write_text(config.read_text().replace("records_per_task = 8", "records_per_task = 2"))
    clean = fingerprints()
    told = said(config, "decontaminate", "exam", "--before")
    assert (told["num_items"], told["num_removed"], told["snapshot"]) == (7, 3, None)
    assert {example["id"] for example in told["benchmarks"][0]["examples"]} == {f"cases/{id}" for id in HELD}
    # only tasks with such a record are other tasks: [copied, own-words], [resized, other-picture], [article, ...]
    assert [one == other for one, other in zip(clean, fingerprints(), strict=True)] == [False, False, False, True]
    run(config)
    assert kept(config) == ALL - HELD
    rejects = corpus.open(config.parent / "corpus").rejects().to_pylist()
    assert {row["record_id"]: (row["stage"], row["reason"], row["detail"]) for row in rejects} == {
        "copied": ("source", "contaminated", "exam/b1: benchmark-text"),
        "resized": ("source", "contaminated", "exam/b2: benchmark-image"),
        "article": ("source", "contaminated", "exam/b3: benchmark-key"),
    }
    assert "nothing" in ended("run", "--all", "--no-server", "--config", str(config)).out.lower()
    assert said(config, "decontaminate", "exam")["num_removed"] == 0


def test_a_list_of_another_revision_stops_with_what_to_do(config: Path) -> None:
    said(config, "decontaminate", "--before")
    entry = config.parent / "mine" / "cases.toml"
    entry.write_text(entry.read_text().replace('pinned = "1"', 'pinned = "2"'))
    with pytest.raises(ConfigError, match=r"source 'cases': .* `calabash decontaminate --before` again"):
        make_plan(("captioning",), FlowParams(config=str(config)))
    assert said(config, "decontaminate", "--before")["num_removed"] == 3
    make_plan(("captioning",), FlowParams(config=str(config)))


def test_without_names_it_says_which_benchmarks_were_not_checked(config: Path) -> None:
    run(config)
    shown = say(config, "decontaminate")
    assert "3 of 7 rows found; snapshot v000002 is without them" in shown
    assert "not checked, since their data is not here: " in shown and "vqa-rad" in shown


def test_benchmarks_are_found_by_name_and_in_a_folder_of_ones_own(config: Path, tmp_path: Path) -> None:
    run(config)
    with pytest.raises(ConfigError, match="unknown benchmark 'vqa-red': did you mean 'vqa-rad'"):
        say(config, "decontaminate", "vqa-red")
    with pytest.raises(ConfigError, match="unknown benchmark 'cases'"):
        say(config, "decontaminate", "cases")
    with pytest.raises(SourceError, match=r"no folder .*data/benchmarks/vqa-rad; put flaviagiammarino/vqa-rad"):
        say(config, "decontaminate", "vqa-rad")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(ConfigError, match=r"no benchmark's data is here; .* or give --data FOLDER"):
        say(config, "decontaminate", "--data", str(elsewhere))
    (config.parent / "mine" / "exam").rename(elsewhere / "exam")
    assert said(config, "decontaminate", "--data", str(elsewhere))["num_removed"] == 3


def test_takedown_drops_now_and_later_and_says_what_matched_nothing(config: Path) -> None:
    rules = config.parent / "rules.toml"
    rules.write_text(
        '[[rules]]\nsource = "cases"\nrecord_id = "article"\nwhy = "withdrawn by the journal"\n'
        '[[rules]]\ngroup_id = "pmc:PMC99"\nwhy = "the patient asked"\n'
    )
    config.write_text(config.read_text().replace("records_per_task = 8", "records_per_task = 8\nsamples = 4"))
    run(config)
    shown = say(config, "takedown", str(rules), "--dry-run")
    assert "rule 2: group_id pmc:PMC99: matches no row now" in shown and kept(config) == set(list_of(config)[:4])
    told = said(config, "takedown", str(rules))
    assert [rule["num_rows"] for rule in told["rules"]] == [0, 0]
    config.write_text(config.read_text().replace("\nsamples = 4", ""))
    run(config)
    said(config, "takedown", str(rules))
    assert kept(config) == ALL - {"article"}


def list_of(config: Path) -> list[str]:
    lines = (config.parent / "mine" / "cases" / "rows.jsonl").read_text().splitlines()
    return [json.loads(line)["id"] for line in lines]


def test_dedup_keeps_one_of_what_is_repeated_and_no_group_in_two_splits(tmp_path: Path) -> None:
    same = talk("What is pleurisy?", "Inflammation of the pleura, the lining of the lung and of the chest wall.")
    rows = [
        {"id": "first", "turns": same, "group": "PMC1", "split": "train"},
        {"id": "again", "turns": same, "group": "PMC2", "split": "train"},
        {"id": "alone", "turns": talk("What is a cyst?", "A sac of fluid in the kidney."), "group": "PMC3"},
        {"id": "trained", "turns": talk("Which lobe?", "The right lower lobe of the lung."), "group": "PMC4",
         "split": "train"},
    ]  # fmt: skip
    tested = [
        {
            "id": "tested",
            "turns": talk("Which organ?", "The liver and the bile duct."),
            "group": "PMC4",
            "split": "test",
        }
    ]
    write_source(tmp_path, "one", rows, 'groups = "pmc"')
    write_source(tmp_path, "two", tested, 'groups = "pmc"')
    config = write_flows(tmp_path, {"captioning": ["one", "two"]})
    run(config)
    assert len(kept(config)) == 5
    told = said(config, "dedup")
    left = kept(config)
    assert len({"first", "again"} & left) == 1 and "alone" in left and len({"trained", "tested"} & left) == 1
    assert told["removed"] == {"crosses-splits": 1, "duplicate-exact": 1} and told["snapshot"] == "v000002"
    (exact,) = [example for example in told["examples"] if example["reason"] == "duplicate-exact"]
    assert {exact["id"], exact["other"]} == {f"captioning/one/{id}#0" for id in ("first", "again")}
    again = said(config, "dedup")
    assert (again["num_items"], again["snapshot"]) == (5, "v000002")
    assert "2 of 5 rows found" in say(config, "dedup", "--dry-run")
    assert list_snapshots(config.parent / "corpus") == ["v000001", "v000002"]
