"""All limits by which the loop decides, in one value: what the settings become."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.gpureset import ResetLimits
from monitor.health import HealthLimits
from monitor.leak import LeakLimits
from monitor.pace import PaceLimits
from monitor.policy import PolicyLimits
from monitor.probes.canary import CanaryLimits


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """All that the decisions take from the settings; seconds.

    Attributes:
        recycle_bytes: memory of one replica's processes over which it is started anew.
    """

    poll_s: float = 1.0
    canary_s: float = 15.0
    health: HealthLimits = field(default_factory=HealthLimits)
    policy: PolicyLimits = field(default_factory=PolicyLimits)
    canary: CanaryLimits = field(default_factory=CanaryLimits)
    pace: PaceLimits = field(default_factory=PaceLimits)
    recycle_bytes: float | None = None
    leak: LeakLimits = field(default_factory=LeakLimits)
    reset: ResetLimits = field(default_factory=ResetLimits)
