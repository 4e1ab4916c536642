"""Serve's autoscaling decides as the watchdog of a single host does: `monitor.scaling.resize`.

The gateways tell the engine replicas what waits and how late answers are, the replicas report it
to Serve's controller, and the policy runs there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from prometheus_client import CollectorRegistry

from monitor.collectors.gateway import Buckets, quantile, subtract
from monitor.scaling import Load, ScalingLimits, ScalingState, resize

QUEUED = "queued_tokens"
LATE = "p95_seconds"
FRESH_S = 15.0
"""A gateway that said nothing for so long has ended."""

EVERY_S = 5.0
_QUANTILE = 0.95
_WAITING = "rankguard_waiting_tokens"
_LATENCY = "rankguard_request_duration_seconds"


class GatewayLoad:
    """What this gateway has to do, from its own metrics; looked at every few seconds."""

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._before: Buckets = {}
        self._load = Load(0.0, None)
        self._at: float | None = None

    def read(self) -> Load:
        now = self._clock()
        if self._at is None or now - self._at >= EVERY_S:
            buckets = self._buckets()
            queued = self._registry.get_sample_value(_WAITING) or 0.0
            since, self._before = subtract(buckets, self._before), buckets
            self._load, self._at = Load(queued, quantile(since, _QUANTILE)), now
        return self._load

    def _buckets(self) -> Buckets:
        """Requests so far by upper bound of their latency, over all routes."""
        found: Buckets = {}
        for family in self._registry.restricted_registry([f"{_LATENCY}_bucket"]).collect():
            for sample in family.samples:
                if sample.name == f"{_LATENCY}_bucket":
                    bound = float(sample.labels["le"])
                    found[bound] = found.get(bound, 0.0) + sample.value
        return found


class Loads:
    """What all gateways said last; kept by every engine replica."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, Load]] = {}

    def told(self, gateway: str, load: Load) -> None:
        self._said[gateway] = (self._clock(), load)

    def report(self) -> dict[str, float]:
        """Tokens that wait in all gateways, and the p95 of the slowest."""
        now = self._clock()
        self._said = {name: one for name, one in self._said.items() if now - one[0] < FRESH_S}
        loads = [load for _, load in self._said.values()]
        return {
            QUEUED: sum(load.queued_tokens for load in loads),
            LATE: max((load.p95_s or 0.0 for load in loads), default=0.0),
        }


class Resize:
    """Serve's autoscaling policy for the engine; made once, in Serve's controller."""

    def __init__(self, **limits: float) -> None:
        """Take the fields of `ScalingLimits`."""
        self._limits = ScalingLimits(**limits)  # type: ignore[arg-type]  # from YAML

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        kept = dict(context.policy_state or {})
        state = ScalingState(**{"size": context.target_num_replicas, **kept})
        after = resize(state, load_of(context.aggregated_metrics), self._limits, time.time())
        return after.size, asdict(after)


def load_of(metrics: Mapping[str, Mapping[Any, float]] | None) -> Load | None:
    """The load as the replicas report it; all of them were told the same, some of them earlier."""
    queued = (metrics or {}).get(QUEUED, {}).values()
    late = (metrics or {}).get(LATE, {}).values()
    if not queued:
        return None
    return Load(max(queued), max(late, default=0.0) or None)
