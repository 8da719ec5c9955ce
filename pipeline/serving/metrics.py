"""Prometheus metrics, under TensorFlow Serving's names where it has them."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.serving.versions import VersionState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = ":tensorflow:serving:"
_MICROSECONDS = [10 * 1.8**power for power in range(33)]
_ROWS = [2.0**power for power in range(15)]

States = Callable[[], Mapping[str, Mapping[int, VersionState]]]


class Metrics:
    """What a server counts.

    Args:
      states: the state of every version, by model and number.
    """

    def __init__(self, states: States) -> None:
        self._registry = CollectorRegistry()
        self._requests = _Counter(
            _PREFIX + "request_count", "The total number of requests.", ("model_name", "status")
        )
        self._registry.register(self._requests)
        self._unknown_domains = _Counter(
            "dfei_unknown_domain_rows", "Rows of requests whose domain was not in training.", ("model_name",)
        )
        self._registry.register(self._unknown_domains)
        self._registry.register(_States(states))
        self._logged = _Counter(
            "dfei_request_log",
            "Sampled requests: written, dropped for want of time, failed to be written.",
            ("status",),
        )
        self._registry.register(self._logged)

        def histogram(name: str, text: str, labels: tuple[str, ...], buckets: list[float]) -> Histogram:
            return Histogram(_PREFIX + name, text, labels, registry=self._registry, buckets=buckets)

        self._latency = histogram(
            "request_latency",
            "Distribution of wall time (in microseconds) for requests.",
            ("model_name", "API", "entrypoint"),
            _MICROSECONDS,
        )
        self._runtime = histogram(
            "runtime_latency",
            "Distribution of wall time (in microseconds) for the TensorFlow runtime.",
            ("model_name", "API", "runtime"),
            _MICROSECONDS,
        )
        self._queueing = histogram(
            "batching_session:queuing_latency",
            "Distribution of wall time spent (in microseconds) in queuing.",
            (),
            _MICROSECONDS,
        )
        self._batch_rows = histogram(
            "batching_session:processed_batch_size", "Rows of a computed batch, padding included.", (), _ROWS
        )

    def request(self, model: str, status: str) -> None:
        """A request was answered."""
        self._requests.add((model, status))

    def unknown_domains(self, model: str, rows: int) -> None:
        """So many rows of a request were of domains that were not in training."""
        self._unknown_domains.add((model,), rows)

    def latency(self, model: str, api: str, entrypoint: str, seconds: float) -> None:
        """How long a successful request took."""
        self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)

    def runtime(self, model: str, api: str, seconds: float) -> None:
        """How long its computation took, queueing included."""
        self._runtime.labels(model, api, "TF").observe(seconds * 1e6)

    def logged(self, status: str) -> None:
        """What became of a request that was to be logged."""
        self._logged.add((status,))

    def batch(self, rows: int, waited: Iterable[float]) -> None:
        """A batch was computed; how long each of its requests had waited, in seconds."""
        self._batch_rows.observe(rows)
        for seconds in waited:
            self._queueing.observe(seconds * 1e6)

    def page(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(self._registry)


class _Counter(Collector):
    """Counts under exactly the given name; the library's own counters append `_total`, this server's peer does not."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._lock = threading.Lock()
        self._counts: collections.Counter[tuple[str, ...]] = collections.Counter()

    def add(self, labels: tuple[str, ...], count: int = 1) -> None:
        with self._lock:
            self._counts[labels] += count

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._text, "untyped")
        with self._lock:
            counts = dict(self._counts)
        for labels, count in sorted(counts.items()):
            metric.add_sample(self._name, dict(zip(self._labels, labels, strict=True)), count)
        yield metric


class _States(Collector):
    def __init__(self, states: States) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily(
            "dfei_model_version_state",
            "1 for the state that a version is in.",
            labels=("model_name", "version", "state"),
        )
        served = GaugeMetricFamily(
            "dfei_served_version",
            "The newest version that answers; a pushed one's number is the time of its push, in seconds since 1970.",
            labels=("model_name",),
        )
        for model, versions in sorted(self._states().items()):
            for number, state in versions.items():
                gauge.add_metric((model, str(number), state.state), 1)
            available = [number for number, state in versions.items() if state.state == "AVAILABLE"]
            if available:
                served.add_metric((model,), max(available))
        yield gauge
        yield served
