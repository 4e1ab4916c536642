"""The gateway's metrics: one table, from which the registry and the dashboards are made.

Base units, no label per document or per caller's text, every series exported at 0 from the start.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25),
    0.38,  # the default latency objective: whoever met it must be a bucket of its own
    *(0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0),
)
RELEVANCE = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
DOCUMENTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

ROUTES = ("/v1/rerank", "/rerank", "/v2/rerank", "/v1/score", "/score")
"""Those whose latency has an objective."""

OTHER_ROUTES = ("/v1/embeddings", "/v1/search")
"""Counted only: a batch of texts to embed may take as long as it likes."""

STATUSES = (
    *("200", "400", "401", "408", "413", "415", "422", "429"),
    *("499", "500", "503", "504"),
)
FAILURES = ("unreachable", "lost", "error", "busy", "timeout")


class Kind(str, Enum):
    """A metric's Prometheus type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Row:
    """One metric as declared.

    Attributes:
        name: as it is scraped, `_total` of counters included.
        series: label values that exist from the start.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()


GATEWAY: tuple[Row, ...] = (
    Row(
        "rankguard_requests_total",
        Kind.COUNTER,
        "Requests answered, by route and status; 499 is a client that went away",
        ("route", "status"),
        tuple((route, status) for route in (*ROUTES, *OTHER_ROUTES) for status in STATUSES),
    ),
    Row("rankguard_documents_total", Kind.COUNTER, "Documents in answered requests"),
    Row("rankguard_tokens_total", Kind.COUNTER, "Tokens of scored documents, as engines count"),
    Row("rankguard_truncated_documents_total", Kind.COUNTER, "Documents that did not fit whole"),
    Row("rankguard_unscored_documents_total", Kind.COUNTER, "Documents without a score: NaN"),
    Row(
        "rankguard_request_duration_seconds",
        Kind.HISTOGRAM,
        "From the request's first byte to the answer's last",
        ("route",),
        tuple((route,) for route in ROUTES),
        SECONDS,
    ),
    Row(
        "rankguard_queue_duration_seconds",
        Kind.HISTOGRAM,
        "Longest wait of a request's chunks for a replica and in its queue",
        buckets=SECONDS,
    ),
    Row(
        "rankguard_score_duration_seconds",
        Kind.HISTOGRAM,
        "Longest time that an engine took for one of a request's chunks",
        buckets=SECONDS,
    ),
    Row(
        "rankguard_request_documents",
        Kind.HISTOGRAM,
        "Documents in one request",
        buckets=DOCUMENTS,
    ),
    Row("rankguard_relevance", Kind.HISTOGRAM, "Relevance of scored documents", buckets=RELEVANCE),
    Row(
        "rankguard_chunk_retries_total",
        Kind.COUNTER,
        "Chunks sent again, by what failed",
        ("failure",),
        tuple((failure,) for failure in FAILURES),
    ),
    Row("rankguard_chunk_hedges_total", Kind.COUNTER, "Late chunks sent to a second replica"),
    Row("rankguard_ejections_total", Kind.COUNTER, "Times that a failing replica was left alone"),
    Row("rankguard_poison_requests_total", Kind.COUNTER, "Refused: engines ended while scoring it"),
    Row("rankguard_cache_hits_total", Kind.COUNTER, "Pairs whose score was in the cache"),
    Row("rankguard_cache_misses_total", Kind.COUNTER, "Pairs that had to be scored"),
    Row("rankguard_cache_shared_total", Kind.COUNTER, "Pairs that another request was scoring"),
    Row("rankguard_cache_bytes", Kind.GAUGE, "Bytes that the score cache holds"),
    Row("rankguard_requests_in_flight", Kind.GAUGE, "Requests begun and not answered"),
    Row("rankguard_waiting_tokens", Kind.GAUGE, "Estimated tokens admitted and not answered"),
    Row("rankguard_waiting_chunks", Kind.GAUGE, "Chunks that wait for a replica"),
    Row(
        "rankguard_replica_in_rotation",
        Kind.GAUGE,
        "1 when the gateway may send to the replica and its last connection to it did not break",
        ("replica",),
    ),
    Row(
        "rankguard_replica_outstanding_tokens",
        Kind.GAUGE,
        "Estimated tokens sent to the replica and not answered",
        ("replica",),
    ),
    Row("rankguard_ready", Kind.GAUGE, "1 when /readyz says ready"),
)


@dataclass(frozen=True, slots=True)
class ReplicaSample:
    """A replica at the moment of a scrape."""

    replica: str
    in_rotation: bool
    outstanding_tokens: int


class ReplicaCollector(Collector):
    """Reads the replicas at scrape, so that one which is gone has no series."""

    def __init__(self, read: Callable[[], Iterable[ReplicaSample]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        in_rotation = _family("rankguard_replica_in_rotation")
        outstanding = _family("rankguard_replica_outstanding_tokens")
        for sample in self._read():
            in_rotation.add_metric([sample.replica], float(sample.in_rotation))
            outstanding.add_metric([sample.replica], float(sample.outstanding_tokens))
        yield in_rotation
        yield outstanding


class RelevanceHistogram(Collector):
    """A histogram that takes a whole request's scores at once.

    `Histogram.observe` takes a lock and walks the buckets for every value; with a thousand
    documents in a request that is milliseconds.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(RELEVANCE) + 1)
        self._sum = 0.0

    def observe(self, values: Iterable[float]) -> None:
        for value in values:
            self._counts[bisect.bisect_left(RELEVANCE, value)] += 1
            self._sum += value

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        row = _row("rankguard_relevance")
        family = HistogramMetricFamily(row.name, row.help)
        buckets: list[tuple[str, float]] = []
        seen = 0
        for bound, count in zip((*map(str, RELEVANCE), "+Inf"), self._counts, strict=True):
            seen += count
            buckets.append((bound, float(seen)))
        family.add_metric([], buckets=buckets, sum_value=self._sum)
        yield family


class GatewayMetrics:
    """The table's metrics in one registry; to be made once per process and passed on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = _counter("rankguard_requests_total", registry)
        self.documents = _counter("rankguard_documents_total", registry)
        self.tokens = _counter("rankguard_tokens_total", registry)
        self.truncated = _counter("rankguard_truncated_documents_total", registry)
        self.unscored = _counter("rankguard_unscored_documents_total", registry)
        self.request_seconds = _histogram("rankguard_request_duration_seconds", registry)
        self.queue_seconds = _histogram("rankguard_queue_duration_seconds", registry)
        self.score_seconds = _histogram("rankguard_score_duration_seconds", registry)
        self.request_documents = _histogram("rankguard_request_documents", registry)
        self.retries = _counter("rankguard_chunk_retries_total", registry)
        self.hedges = _counter("rankguard_chunk_hedges_total", registry)
        self.ejections = _counter("rankguard_ejections_total", registry)
        self.poison = _counter("rankguard_poison_requests_total", registry)
        self.cache_hits = _counter("rankguard_cache_hits_total", registry)
        self.cache_misses = _counter("rankguard_cache_misses_total", registry)
        self.cache_shared = _counter("rankguard_cache_shared_total", registry)
        self.cache_bytes = _gauge("rankguard_cache_bytes", registry)
        self.in_flight = _gauge("rankguard_requests_in_flight", registry)
        self.waiting_tokens = _gauge("rankguard_waiting_tokens", registry)
        self.waiting_chunks = _gauge("rankguard_waiting_chunks", registry)
        self.ready = _gauge("rankguard_ready", registry)
        self.relevance = RelevanceHistogram()
        registry.register(self.relevance)

    def watch_replicas(self, read: Callable[[], Iterable[ReplicaSample]]) -> None:
        self.registry.register(ReplicaCollector(read))


def _row(name: str) -> Row:
    return next(row for row in GATEWAY if row.name == name)


def _family(name: str) -> GaugeMetricFamily:
    row = _row(name)
    return GaugeMetricFamily(row.name, row.help, labels=row.labels)


def _counter(name: str, registry: CollectorRegistry) -> Counter:
    row = _row(name)
    counter = Counter(row.name, row.help, row.labels, registry=registry)
    for values in row.series:
        counter.labels(*values)
    return counter


def _gauge(name: str, registry: CollectorRegistry) -> Gauge:
    row = _row(name)
    return Gauge(row.name, row.help, row.labels, registry=registry)


def _histogram(name: str, registry: CollectorRegistry) -> Histogram:
    row = _row(name)
    histogram = Histogram(row.name, row.help, row.labels, registry=registry, buckets=row.buckets)
    for values in row.series:
        histogram.labels(*values)
    return histogram
