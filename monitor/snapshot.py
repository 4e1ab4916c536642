"""What the last tick saw and did, immutable: all that exporter and pages read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.incident import Incident
from monitor.journal import Transition
from monitor.model import CanaryResult, Manifest, Progress, Verdict
from monitor.replica import Replica


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica at the end of a tick; `recent` is documents per second, oldest first."""

    replica: Replica
    verdict: Verdict | None = None
    manifest: Manifest | None = None
    progress: Progress | None = None
    canary: CanaryResult | None = None
    recent: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Counters:
    """What only grows while this watchdog runs; label values -> count."""

    ticks: int = 0
    tick_errors: int = 0
    journal_errors: int = 0
    sink_errors: int = 0
    restarts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    canaries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    incidents: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`at` and `started_at` are Unix seconds; `tick_s` is what the last tick took."""

    at: float
    started_at: float
    tick_s: float = 0.0
    replicas: tuple[ReplicaView, ...] = ()
    incidents: tuple[Incident, ...] = ()
    transitions: tuple[Transition, ...] = ()
    counters: Counters = field(default_factory=Counters)
    notices: tuple[str, ...] = ()
