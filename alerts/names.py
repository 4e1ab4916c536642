"""PURE: the table of alert names: what each is about, how serious it is, what explains it.

The watchdog, the runbooks, the words and the rules for Alertmanager all go by this table; tests
keep them in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from alerts.model import Severity


class Scope(str, Enum):
    """What an alert is about. A host's trouble explains a GPU's, and a GPU's a replica's."""

    HOST = "host"
    GPU = "gpu"
    REPLICA = "replica"
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class AlertName:
    """One row.

    Attributes:
        severity: what it usually has; the alert itself carries its own.
        explains: names that need no message of their own while this one fires on the same object.
        keep_firing_s: a burst is one incident until it was quiet for so long.
    """

    scope: Scope
    severity: Severity
    explains: frozenset[str] = frozenset()
    keep_firing_s: float = 0.0


_C, _W, _I = Severity.CRITICAL, Severity.WARNING, Severity.INFO

_REPLICA_DOWN = frozenset(
    {
        "ReplicaDead",
        "ReplicaHung",
        "ReplicaWrong",
        "ReplicaCrashLoop",
        "ReplicaStartFailed",
        "ReplicaDegraded",
        "ReplicaLeaking",
    }
)
_GPU_SYMPTOMS = frozenset({"GpuXid", "GpuEcc", "GpuThermal", "GpuMemoryHeldByStranger"})
_GPU_ALL = _GPU_SYMPTOMS | {"GpuLost", "GpuResetRequired", "GpuRowRemapFailed"}

XID_QUIET_S = 180.0
"""XIDs come in bursts of hundreds; three quiet minutes end the incident."""

ALERT_NAMES: Mapping[str, AlertName] = {
    "ReplicaDead": AlertName(Scope.REPLICA, _C, frozenset({"ReplicaDegraded"})),
    "ReplicaHung": AlertName(Scope.REPLICA, _C, frozenset({"ReplicaDegraded"})),
    "ReplicaWrong": AlertName(Scope.REPLICA, _C, frozenset({"ReplicaDegraded"})),
    "ReplicaCrashLoop": AlertName(
        Scope.REPLICA,
        _C,
        frozenset({"ReplicaDead", "ReplicaHung", "ReplicaStartFailed", "ReplicaDegraded"}),
    ),
    "ReplicaStartFailed": AlertName(
        Scope.REPLICA, _C, frozenset({"ReplicaDead", "ReplicaDegraded"})
    ),
    "ReplicaDegraded": AlertName(Scope.REPLICA, _W),
    "ReplicaLeaking": AlertName(Scope.REPLICA, _W),
    "GpuLost": AlertName(
        Scope.GPU, _C, _REPLICA_DOWN | _GPU_SYMPTOMS | {"GpuResetRequired", "GpuRowRemapFailed"}
    ),
    "GpuResetRequired": AlertName(Scope.GPU, _C, _REPLICA_DOWN | _GPU_SYMPTOMS),
    "GpuXid": AlertName(Scope.GPU, _W, _REPLICA_DOWN, keep_firing_s=XID_QUIET_S),
    "GpuEcc": AlertName(Scope.GPU, _W, frozenset({"GpuXid"}), keep_firing_s=XID_QUIET_S),
    "GpuRowRemapFailed": AlertName(Scope.GPU, _C, _REPLICA_DOWN | {"GpuEcc", "GpuXid"}),
    "GpuThermal": AlertName(Scope.GPU, _W, frozenset({"ReplicaDegraded"})),
    "GpuMemoryHeldByStranger": AlertName(
        Scope.GPU, _W, frozenset({"ReplicaStartFailed", "ReplicaCrashLoop"})
    ),
    "HostStarved": AlertName(Scope.HOST, _W, frozenset({"ReplicaHung", "ReplicaDegraded"})),
    "HostDiskFull": AlertName(Scope.HOST, _C, frozenset({"ReplicaStartFailed"})),
    "StateDiskFull": AlertName(Scope.HOST, _C, frozenset({"ReplicaStartFailed"})),
    "HostOomKill": AlertName(
        Scope.HOST, _C, frozenset({"ReplicaDead", "ReplicaCrashLoop", "ReplicaStartFailed"})
    ),
    "PoisonRequest": AlertName(Scope.HOST, _W),
    "DriverUnavailable": AlertName(Scope.HOST, _C, _GPU_ALL | _REPLICA_DOWN),
    "WatchdogConfigInvalid": AlertName(Scope.WATCHDOG, _W),
    "RolloutFailed": AlertName(Scope.WATCHDOG, _C),
    "AlertDeliveryFailing": AlertName(Scope.WATCHDOG, _C),
    "Watchdog": AlertName(Scope.WATCHDOG, _I),
    "Flapping": AlertName(Scope.WATCHDOG, _W),
}
"""Every alert that rankguard raises."""

DELIVERY_FAILING = "AlertDeliveryFailing"
FLAPPING = "Flapping"
WATCHDOG = "Watchdog"
