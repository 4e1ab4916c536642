"""What the last tick saw and did, immutable: all that exporter and pages read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.snapshot import PipelineSnapshot
from monitor.cardbook import CardView
from monitor.certificate import Certificate
from monitor.gpu import GpuRound
from monitor.host import HostSample
from monitor.incident import Incident
from monitor.model import CanaryResult, Manifest, Progress, Reason, Verdict
from monitor.replica import Replica
from monitor.rollout import Rollout
from monitor.scaling import Load


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica at the end of a tick; `recent` is documents per second, oldest first."""

    replica: Replica
    verdict: Verdict | None = None
    waiting: Reason | None = None
    manifest: Manifest | None = None
    progress: Progress | None = None
    canary: CanaryResult | None = None
    recent: tuple[float, ...] = ()
    resident_bytes: int = 0
    gpu_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """What only grows while this watchdog runs; label values -> count."""

    ticks: int = 0
    tick_errors: int = 0
    journal_errors: int = 0
    board_errors: int = 0
    sink_errors: int = 0
    dropped: int = 0
    restarts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    canaries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    incidents: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole at the end of one tick.

    Attributes:
        at, started_at: Unix seconds. tick_s: what the last tick took.
        wanted: how many replicas there shall be.
        rollout: the one that runs, or the last one.
    """

    at: float
    started_at: float
    tick_s: float = 0.0
    replicas: tuple[ReplicaView, ...] = ()
    wanted: int = 0
    cards: tuple[CardView, ...] = ()
    gpus: GpuRound | None = None
    host: HostSample | None = None
    load: Load | None = None
    incidents: tuple[Incident, ...] = ()
    counters: Counters = field(default_factory=Counters)
    delivery: PipelineSnapshot | None = None
    certificates: tuple[Certificate, ...] = ()
    notices: tuple[str, ...] = ()
    dropped_lines: int = 0
    rollout: Rollout | None = None
