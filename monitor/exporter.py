"""The watchdog's metrics: one table, and a collector that reads the last snapshot.

No I/O at scrape: a scrape costs the same whether the driver answers or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.model import CanaryOutcome, Health
from monitor.replica import Phase
from monitor.snapshot import ReplicaView, Snapshot

Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. Counters are named without `_total`; the exposition adds it.

    Attributes:
        labels: label names, in the order of the samples' values.
        read: the samples in a snapshot; a series that is not among them does not exist.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Snapshot], Iterable[Sample]]


def _per_replica(value: Callable[[ReplicaView], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for view in snapshot.replicas:
            yield (view.replica.id,), value(view)

    return read


def _phases(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        for phase in Phase:
            yield (view.replica.id, phase.value), float(view.replica.phase is phase)


def _healths(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        health = None if view.verdict is None else view.verdict.health
        for one in Health:
            yield (view.replica.id, one.value), float(one is health)


RESTART_CAUSES = (
    "process_gone",
    "killed_by_signal",
    "exited",
    "drained",
    "engine_died",
    "start_failed",
    "no_progress",
    "process_stopped",
    "not_answering",
    "load_stalled",
    "canary_order",
    "canary_flat",
    "canary_drift",
    "canary_invalid",
    "canary_error",
    "gpu_lost",
    "gpu_needs_reset",
    "gpu_fault",
    "leak",
)
"""Every reason for which a replica is started again; each has its series from the start."""

INCIDENT_NAMES = (
    "ReplicaDead",
    "ReplicaHung",
    "ReplicaWrong",
    "ReplicaGpuLost",
    "ReplicaStartFailed",
    "ReplicaCrashLoop",
)


def _restarts(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        for cause in RESTART_CAUSES:
            key = (view.replica.id, cause)
            yield key, float(snapshot.counters.restarts.get(key, 0))


def _canaries(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        for outcome in CanaryOutcome:
            key = (view.replica.id, outcome.value)
            yield key, float(snapshot.counters.canaries.get(key, 0))


def _incidents(snapshot: Snapshot) -> Iterator[Sample]:
    for name in INCIDENT_NAMES:
        yield (name,), float(snapshot.counters.incidents.get(name, 0))


def _open_incidents(snapshot: Snapshot) -> Iterator[Sample]:
    for name in INCIDENT_NAMES:
        yield (name,), float(sum(1 for one in snapshot.incidents if one.name == name))


def _progress(field: str) -> Callable[[Snapshot], Iterator[Sample]]:
    return _per_replica(
        lambda view: 0.0 if view.progress is None else float(getattr(view.progress, field) or 0.0)
    )


def _canary_seconds(view: ReplicaView) -> float:
    return 0.0 if view.canary is None else view.canary.ended - view.canary.began


def _single(value: Callable[[Snapshot], float]) -> Callable[[Snapshot], list[Sample]]:
    return lambda snapshot: [((), value(snapshot))]


METRICS: tuple[Family, ...] = (
    Family(
        "rankguard_watchdog_heartbeat_timestamp_seconds",
        "gauge",
        "Unix time of the loop's last round; one that stands still is a dead watchdog",
        (),
        _single(lambda snapshot: snapshot.at),
    ),
    Family(
        "rankguard_watchdog_start_timestamp_seconds",
        "gauge",
        "Unix time at which this watchdog started",
        (),
        _single(lambda snapshot: snapshot.started_at),
    ),
    Family(
        "rankguard_watchdog_tick_duration_seconds",
        "gauge",
        "How long the last round took",
        (),
        _single(lambda snapshot: snapshot.tick_s),
    ),
    Family(
        "rankguard_watchdog_ticks",
        "counter",
        "Rounds of the loop",
        (),
        _single(lambda snapshot: snapshot.counters.ticks),
    ),
    Family(
        "rankguard_watchdog_tick_errors",
        "counter",
        "Rounds in which looking after one replica raised",
        (),
        _single(lambda snapshot: snapshot.counters.tick_errors),
    ),
    Family(
        "rankguard_watchdog_journal_errors",
        "counter",
        "Writes that the journal refused",
        (),
        _single(lambda snapshot: snapshot.counters.journal_errors),
    ),
    Family(
        "rankguard_watchdog_sink_errors",
        "counter",
        "Rounds in which alerts could not be stored for delivery",
        (),
        _single(lambda snapshot: snapshot.counters.sink_errors),
    ),
    Family(
        "rankguard_replica_routable",
        "gauge",
        "1 when the gateway may send traffic to this replica",
        ("replica",),
        _per_replica(lambda view: float(view.replica.routable)),
    ),
    Family(
        "rankguard_replica_phase",
        "gauge",
        "1 for the phase of its life in which a replica is",
        ("replica", "phase"),
        _phases,
    ),
    Family(
        "rankguard_replica_health",
        "gauge",
        "1 for the verdict on a replica",
        ("replica", "health"),
        _healths,
    ),
    Family(
        "rankguard_replica_generation",
        "gauge",
        "Generation of the present process",
        ("replica",),
        _per_replica(lambda view: float(view.replica.generation)),
    ),
    Family(
        "rankguard_replica_restarts",
        "counter",
        "Restarts that nobody asked for, by cause",
        ("replica", "cause"),
        _restarts,
    ),
    Family(
        "rankguard_replica_in_flight_documents",
        "gauge",
        "Documents being scored",
        ("replica",),
        _progress("in_flight"),
    ),
    Family(
        "rankguard_replica_oldest_in_flight_seconds",
        "gauge",
        "Age of the oldest job in flight",
        ("replica",),
        _progress("oldest_in_flight_s"),
    ),
    Family(
        "rankguard_replica_completed_documents",
        "counter",
        "Documents scored by the present process",
        ("replica",),
        _progress("completed"),
    ),
    Family(
        "rankguard_replica_failed_documents",
        "counter",
        "Documents that the present process could not score",
        ("replica",),
        _progress("failed"),
    ),
    Family(
        "rankguard_replica_engine_steps",
        "counter",
        "Forward passes of the present process",
        ("replica",),
        _progress("steps"),
    ),
    Family(
        "rankguard_canary_runs",
        "counter",
        "Canaries by outcome",
        ("replica", "outcome"),
        _canaries,
    ),
    Family(
        "rankguard_canary_duration_seconds",
        "gauge",
        "How long the last canary took, all its cases together",
        ("replica",),
        _per_replica(_canary_seconds),
    ),
    Family(
        "rankguard_incidents",
        "counter",
        "Incidents opened since this watchdog started",
        ("name",),
        _incidents,
    ),
    Family(
        "rankguard_incidents_open",
        "gauge",
        "Incidents that are open now",
        ("name",),
        _open_incidents,
    ),
)


class SnapshotCollector(Collector):
    """Turns the last snapshot into metrics."""

    def __init__(self, latest: Callable[[], Snapshot | None]) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Metric]:
        snapshot = self._latest()
        if snapshot is None:
            return
        for family in METRICS:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for labels, value in family.read(snapshot):
                metric.add_metric(list(labels), value)
            yield metric

    def describe(self) -> list[Metric]:
        return []
