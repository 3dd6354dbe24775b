"""What a run shows to Prometheus, and that no output of a run has a key, a prompt or a reply in it."""

import socket
import urllib.request
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.metrics import MetricsFile, serving
from flows.progress import Watcher
from schemas.errors import ConfigError
from schemas.pipeline import Budget as Limits
from tests.flows.test_progress import meter_of, watcher_of
from tests.support.here import ended
from tests.support.pipelines import write_pipeline
from tests.support.serving import serve

KEY = "sk-very-secret-0123456789"


def samples_of(text: str) -> dict[tuple[str, str], float]:
    """Every sample by its name and the values of its labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, "/".join(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def test_every_counter_is_served_as_prometheus_reads_it() -> None:
    meter = meter_of(4, in_flight=7, limit=16, num_healthy=1, num_endpoints=2)
    meter.replayed("icd-10-cm")
    meter.refused("icd-10-cm")
    meter.retries["busy"] = 3
    with serving(watcher_of(meter, Limits(usd=5.0)), 0) as url:
        assert url.startswith("http://127.0.0.1:")
        found = samples_of(scraped(url))
    who, source = "captioning/vision", "captioning/{}icd-10-cm/vision"
    expected = {
        ("calabash_teacher_requests_total", "captioning/answered/icd-10-cm/vision"): 4,
        ("calabash_teacher_requests_total", "captioning/replayed/icd-10-cm/vision"): 1,
        ("calabash_teacher_requests_total", "captioning/refused/icd-10-cm/vision"): 1,
        ("calabash_teacher_tokens_total", "captioning/prompt/icd-10-cm/vision"): 40,
        ("calabash_teacher_tokens_total", "captioning/completion/icd-10-cm/vision"): 20,
        ("calabash_teacher_spent_usd_total", source.format("")): 2.0,
        ("calabash_teacher_retries_total", "busy/captioning/vision"): 3,
        ("calabash_teacher_latency_seconds_count", who): 4,
        ("calabash_teacher_latency_seconds_bucket", "captioning/0.169407/vision"): 0,
        ("calabash_teacher_latency_seconds_bucket", "captioning/0.41359/vision"): 4,
        ("calabash_teacher_latency_seconds_bucket", "captioning/+Inf/vision"): 4,
        ("calabash_teacher_in_flight", who): 7,
        ("calabash_teacher_limit", who): 16,
        ("calabash_teacher_endpoints_healthy", who): 1,
        ("calabash_teacher_endpoints", who): 2,
        ("calabash_teacher_drifted", who): 0,
        ("calabash_budget_spent_total", "budget/usd"): 2.0,
        ("calabash_budget_limit", "budget/usd"): 5.0,
        ("calabash_records_planned", "captioning"): 10,
        ("calabash_records_total", "captioning"): 3,
        ("calabash_samples_kept_total", "captioning"): 3,
        ("calabash_rejects_total", "captioning"): 6,
    }
    assert {key: found[key] for key in expected} == expected
    assert ("calabash_budget_limit", "budget/tokens") not in found
    assert not [name for name, _ in found if not name.startswith("calabash_")]


def test_a_port_that_is_taken_is_named_and_freed_after_use() -> None:
    with serving(Watcher(), 0) as url:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(ConfigError, match=f"--metrics {port}: .*free one"), serving(Watcher(), port):
            pass
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--metrics-file"):
        MetricsFile(Watcher(), tmp_path / "none" / "metrics.prom").write()


def test_no_output_of_a_run_has_a_key_a_prompt_a_reply_or_a_url_in_it(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.prom"
    with serve(tmp_path / "endpoint.log", "--key", KEY, "--refuse", "skimage", "--fail-first-each", "1") as url:
        path = write_pipeline(tmp_path, url, samples=3, records_per_task=3)
        path.write_text(path.read_text().replace("canary = 0", 'canary = 1\napi_key_env = "TEST_TEACHER_KEY"'))
        arguments = ("captioning", "--no-server", "--metrics", "0", "--metrics-file", str(metrics), "-c", str(path))
        done = ended("run", *arguments, TEST_TEACHER_KEY=KEY)
        wrong = ended("run", "multilingual-reasoning", *arguments[1:], TEST_TEACHER_KEY="sk-wrong-but-secret-1234")
        told = ended("forecast", "synthetic-qa", "-n", "2", "-c", str(path), TEST_TEACHER_KEY=KEY)
        shown = ended("runs", "-c", str(path))
    assert (done.code, wrong.code, told.code, shown.code) == (0, 4, 0, 0), done.err + told.err
    assert "metrics at http://127.0.0.1:" in done.out
    records = "".join(run.read_text() for run in (tmp_path / "corpus" / "runs").iterdir())
    written = records + metrics.read_text()
    everything = written + "".join(each.out + each.err for each in (done, wrong, told, shown))
    assert 'calabash_records_planned{flow="multilingual-reasoning"}' in metrics.read_text()
    for secret in (KEY, "sk-wrong-but-secret-1234"):
        assert secret not in everything
    port = url.split(":")[2].split("/")[0]
    assert f":{port}" not in written
    texts = _texts(tmp_path / "corpus")
    assert len(texts) > 6
    assert [text for text in texts if text in everything] == []


def _texts(corpus: Path) -> set[str]:
    """Every sentence of every prompt and reply that is kept."""
    found: set[str] = set()
    for log in corpus.glob("replies/**/*.jsonl"):
        for line in log.read_bytes().splitlines():
            kept = orjson.loads(line)
            if "request" in kept:
                turns = [turn["text"] for turn in kept["request"]["turns"]]
                found.update(part.strip() for text in [*turns, kept["content"]] for part in text.split("\n"))
    return {text for text in found if len(text) > 20}
