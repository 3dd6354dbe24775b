"""Whole runs against an endpoint that goes wrong: what is committed, what is said, what the next run does."""

import json
from pathlib import Path

import corpus
from corpus.audit.verify import verify
from tests.support.kept import asked
from tests.support.pipelines import calabash, said, write_pipeline
from tests.support.serving import serve

RUN = ("run", "captioning", "--no-server", "-c")
BAD_WEATHER = (
    *("--error-rate", "0.4", "--requests-per-s", "20", "--burst-s", "0.2", "--latency-ms", "50"),
    *("--outage-after", "8", "--outage-s", "1"),
)


def run_against(folder: Path, *options: str) -> dict[str, bytes]:
    """A run of one flow to its end; its shards, by their place."""
    folder.mkdir(exist_ok=True)
    with serve(folder / "endpoint.log", *options, kind="faulty") as url:
        said(*RUN, str(write_pipeline(folder, url, samples=4)))
    assert verify(folder / "corpus").ok
    data = folder / "corpus" / "data"
    return {str(path.relative_to(data)): path.read_bytes() for path in data.glob("**/*.arrow")}


def test_errors_a_cap_and_an_outage_leave_the_bytes_of_a_run_in_peace(tmp_path: Path) -> None:
    in_peace = run_against(tmp_path / "peace")
    assert len(in_peace) > 2
    assert run_against(tmp_path / "war", *BAD_WEATHER) == in_peace
    assert set(asked(tmp_path / "war" / "endpoint.log").values()) == {1}


def test_refused_and_cut_off_records_are_rejects_with_their_reason_and_the_others_are_rows(tmp_path: Path) -> None:
    run_against(tmp_path, "--refuse-rate", "0.4", "--fault", "cut-off", "--where", "chest")
    rejects = corpus.open(tmp_path / "corpus").rejects().to_pylist()
    assert {reject["reason"] for reject in rejects} == {"teacher-refused", "truncated"}
    refused = [str(reject) for reject in rejects if reject["reason"] == "teacher-refused"]
    assert all("HTTP 400: this prompt is refused for good" in reject for reject in refused)
    made = set(corpus.open(tmp_path / "corpus").to_pandas()["record_id"])
    assert made
    totals = json.loads(said("stats", "--json", "-c", str(tmp_path / "pipeline.toml")))["totals"]
    assert len(made) + len(rejects) == sum(total["num_in"] for total in totals)
    assert set(asked(tmp_path / "endpoint.log").values()) == {1}


def test_a_key_that_fails_stops_the_run_with_one_sentence_and_a_right_one_goes_on(tmp_path: Path) -> None:
    with serve(tmp_path / "endpoint.log", "--fault", "401", kind="faulty") as url:
        stopped = calabash(*RUN, str(write_pipeline(tmp_path, url, samples=4)))
    assert stopped.returncode == 4
    assert "HTTP 401: Incorrect API key provided" in stopped.stderr
    assert "check the key in the variable that api_key_env names" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not list((tmp_path / "corpus").glob("commits/**/*.json"))
    assert run_against(tmp_path)
    assert set(asked(tmp_path / "endpoint.log").values()) == {1}
