"""Turns the last snapshot into Prometheus metrics.

No I/O at scrape: a scrape costs the same whether the driver answers or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.metrics import METRICS, Family
from monitor.snapshot import Snapshot

__all__ = ["METRICS", "Family", "SnapshotCollector"]

_STALE_S = 15.0
_ALWAYS = "rankguard_watchdog_"


class SnapshotCollector(Collector):
    """Reads the last snapshot; from one that is old it takes the watchdog's own series only.

    A loop that hangs must show as a heartbeat that stands still, and not as cards that are well.
    """

    def __init__(self, latest: Callable[[], Snapshot | None], now: Callable[[], float]) -> None:
        self._latest = latest
        self._now = now

    def collect(self) -> Iterator[Metric]:
        snapshot = self._latest()
        if snapshot is None:
            return
        stale = self._now() - snapshot.at > _STALE_S
        for family in METRICS:
            if not stale or family.name.startswith(_ALWAYS):
                yield _metric(family, snapshot)

    def describe(self) -> list[Metric]:
        return []


def _metric(family: Family, snapshot: Snapshot) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for labels, value in family.read(snapshot):
        metric.add_metric(list(labels), value)
    return metric
