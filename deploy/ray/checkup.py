"""PURE: what a health check of a Ray replica concludes from a canary."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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


def conclude(result: CanaryResult, *, moved: bool) -> Checkup:
    """The finding of one canary, judged already.

    Args:
        moved: documents were completed or steps were done while it ran: a canary that waits
            behind users' work is no sign of a hang.
    """
    if result.outcome is CanaryOutcome.PASSED:
        return Checkup(Finding.PASSED, Reason.HEALTHY)
    if result.outcome is CanaryOutcome.REFUSED:
        return Checkup(Finding.BUSY, Reason.CANARY_UNCONFIRMED, result.detail)
    if result.outcome is CanaryOutcome.TIMED_OUT:
        finding = Finding.BUSY if moved else Finding.HUNG
        reason = Reason.CANARY_UNCONFIRMED if moved else Reason.NO_PROGRESS
        return Checkup(finding, reason, result.detail)
    return Checkup(Finding.WRONG, result.reason, result.detail)
