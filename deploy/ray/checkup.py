"""PURE: what a health check of a Ray replica concludes from a canary."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from monitor.health import HealthLimits
from monitor.model import CanaryOutcome, CanaryResult, Reason


class Finding(str, Enum):
    """What is wrong, if anything."""

    PASSED = "passed"
    BUSY = "busy"
    HUNG = "hung"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Checkup:
    """One canary's finding with its reason."""

    finding: Finding
    reason: Reason
    detail: str = ""

    @property
    def is_bad(self) -> bool:
        return self.finding in {Finding.HUNG, Finding.WRONG}


@dataclass(frozen=True, slots=True)
class Pace:
    """What the replica did while a canary ran.

    Attributes:
        moved: documents were completed, or steps done.
        cores: CPUs that its processes used or waited for.
        stalled_s: since the last progress with work in flight.
    """

    moved: bool
    cores: float
    stalled_s: float


def conclude(result: CanaryResult, pace: Pace, limits: HealthLimits) -> Checkup:
    """The finding of one canary, judged already.

    A canary that waits behind users' work is no sign of a hang, and neither is one that gets no
    CPU or waits for a long computation: that is borne for `working_stall_s`, as the watchdog does.
    """
    if result.outcome is CanaryOutcome.PASSED:
        return Checkup(Finding.PASSED, Reason.HEALTHY)
    if result.outcome is CanaryOutcome.REFUSED:
        return Checkup(Finding.BUSY, Reason.CANARY_UNCONFIRMED, result.detail)
    if result.outcome is CanaryOutcome.TIMED_OUT:
        working = pace.cores >= limits.working_cores and pace.stalled_s < limits.working_stall_s
        if pace.moved or working:
            return Checkup(Finding.BUSY, Reason.CANARY_UNCONFIRMED, result.detail)
        return Checkup(Finding.HUNG, Reason.NO_PROGRESS, result.detail)
    return Checkup(Finding.WRONG, result.reason, result.detail)
