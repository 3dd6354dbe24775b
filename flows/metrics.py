"""A run's counters for Prometheus: on a loopback port, or in a file that its node exporter picks up."""

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.progress import Watcher
from schemas.errors import ConfigError
from teachers.budget import KINDS
from teachers.meter import BOUNDS, Meter

LOOPBACK: Final = "127.0.0.1"
"""Nobody else may read what a run does."""

WRITE_S: Final = 5.0
"""How old the file may be, in seconds."""

EVERY: Final = 4
"""Every fourth of the meter's buckets is shown: 2.4 times as wide, sixteen instead of sixty-four."""

LABELS: Final = ("flow", "teacher")


class RunCollector(Collector):
    """The run's counters as metric families, read when they are asked for; names and numbers only."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def collect(self) -> Iterable[Metric]:
        """Every family, in one order."""
        yield from _of_teachers(self._watcher)
        yield from _of_sources(self._watcher)
        yield from _of_budgets(self._watcher)
        yield from _of_records(self._watcher)


@contextmanager
def serving(watcher: Watcher, port: int) -> Generator[str]:
    """Serve the run's counters on a loopback port (0: a free one); the URL. ConfigError when it is taken."""
    try:
        server, thread = start_http_server(port, LOOPBACK, registry_of(watcher))
    except (OSError, OverflowError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"--metrics {port}: {words}; give another port, or 0 for a free one") from None
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class MetricsFile:
    """A view that writes the run's counters to a file, every `WRITE_S` seconds and when told to."""

    def __init__(self, watcher: Watcher, path: Path) -> None:
        self._registry = registry_of(watcher)
        self._path = path
        self._written = -WRITE_S

    def __call__(self, watcher: Watcher) -> None:
        """Write it when the last time is long enough ago."""
        if time.monotonic() - self._written >= WRITE_S:
            self.write()

    def write(self) -> None:
        """Write it in one step. ConfigError when it cannot be written."""
        try:
            write_to_textfile(str(self._path), self._registry)
        except OSError as error:
            raise ConfigError(
                f"--metrics-file {self._path}: {error.strerror}; give a path in a folder of yours"
            ) from None
        self._written = time.monotonic()


def registry_of(watcher: Watcher) -> CollectorRegistry:
    """A registry of this run alone: nothing of the process or of other libraries."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(watcher))
    return registry


def _meters(watcher: Watcher) -> list[tuple[list[str], Meter]]:
    # tuples: the event loop's thread may add one while this thread reads
    return [
        ([state.flow, name], meter) for state in tuple(watcher.flows.values()) for name, meter in state.meters().items()
    ]


def _of_teachers(watcher: Watcher) -> Iterable[Metric]:
    retries = CounterMetricFamily(
        "calabash_teacher_retries", "Requests sent again, by cause.", labels=[*LABELS, "cause"]
    )
    latency = HistogramMetricFamily(
        "calabash_teacher_latency_seconds", "From sending to the whole answer.", labels=LABELS
    )
    gauges = {
        "in_flight": GaugeMetricFamily("calabash_teacher_in_flight", "Requests on the wire.", labels=LABELS),
        "limit": GaugeMetricFamily("calabash_teacher_limit", "Requests that may be on the wire now.", labels=LABELS),
        "num_healthy": GaugeMetricFamily("calabash_teacher_endpoints_healthy", "Endpoints in use.", labels=LABELS),
        "num_endpoints": GaugeMetricFamily("calabash_teacher_endpoints", "Endpoints.", labels=LABELS),
    }
    drifted = GaugeMetricFamily("calabash_teacher_drifted", "1 when its canary answers changed.", labels=LABELS)
    for labels, meter in _meters(watcher):
        for name, gauge in gauges.items():
            gauge.add_metric(labels, getattr(meter, name))
        for cause, count in dict(meter.retries).items():
            retries.add_metric([*labels, cause], count)
        latency.add_metric(labels, _buckets(meter), meter.latency.total)
        drifted.add_metric(labels, float(bool(meter.drift)))
    return [retries, latency, *gauges.values(), drifted]


def _buckets(meter: Meter) -> list[tuple[str, float]]:
    sums = list(accumulate(meter.latency.counts))
    shown = [(str(BOUNDS[index]), float(sums[index])) for index in range(EVERY - 1, len(BOUNDS), EVERY)]
    return [*shown, ("+Inf", float(sums[-1]))]


def _of_sources(watcher: Watcher) -> Iterable[Metric]:
    labels = [*LABELS, "source"]
    requests = CounterMetricFamily(
        "calabash_teacher_requests", "Requests by how they ended.", labels=[*labels, "outcome"]
    )
    tokens = CounterMetricFamily("calabash_teacher_tokens", "Tokens paid for.", labels=[*labels, "kind"])
    usd = CounterMetricFamily("calabash_teacher_spent_usd", "US dollars spent in this run.", labels=labels)
    for names, meter in _meters(watcher):
        for source, account in tuple(meter.sources.items()):
            where = [*names, source]
            requests.add_metric([*where, "answered"], account.num_requests - account.num_replayed)
            requests.add_metric([*where, "replayed"], account.num_replayed)
            requests.add_metric([*where, "refused"], account.num_refused)
            tokens.add_metric([*where, "prompt"], account.prompt_tokens)
            tokens.add_metric([*where, "completion"], account.completion_tokens)
            usd.add_metric(where, account.usd)
    return [requests, tokens, usd]


def _of_budgets(watcher: Watcher) -> Iterable[Metric]:
    """Spent and limit of every budget table; what has no limit has no limit's line."""
    spent = CounterMetricFamily("calabash_budget_spent", "Spent in this run, by unit.", labels=["budget", "unit"])
    limit = GaugeMetricFamily("calabash_budget_limit", "What this run may spend, by unit.", labels=["budget", "unit"])
    budgets = {one.name: one for state in tuple(watcher.flows.values()) for one in state.budget.chain}
    for name, budget in budgets.items():
        limits = budget.limits
        for kind, have, most in zip(KINDS, budget.spent, (limits.usd, limits.tokens, limits.requests), strict=True):
            spent.add_metric([name, kind], have)
            if most is not None:
                limit.add_metric([name, kind], most)
    return [spent, limit]


def _of_records(watcher: Watcher) -> Iterable[Metric]:
    planned = GaugeMetricFamily("calabash_records_planned", "Records that the run has to settle.", labels=["flow"])
    settled = CounterMetricFamily("calabash_records", "Records settled.", labels=["flow"])
    kept = CounterMetricFamily("calabash_samples_kept", "Samples that passed every gate.", labels=["flow"])
    rejected = CounterMetricFamily("calabash_rejects", "Rejects.", labels=["flow"])
    for state in tuple(watcher.flows.values()):
        planned.add_metric([state.flow], state.num_records)
        settled.add_metric([state.flow], state.num_settled)
        kept.add_metric([state.flow], state.num_kept)
        rejected.add_metric([state.flow], state.num_rejected)
    return [planned, settled, kept, rejected]
