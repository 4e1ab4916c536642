"""PURE: has a critical alert been left alone for too long?"""

from __future__ import annotations

from enum import Enum


class Escalation(str, Enum):
    """Whether a second receiver is told, or why not."""

    DUE = "not_acknowledged"
    WAITING = "waiting_for_acknowledgement"
    ACKNOWLEDGED = "acknowledged"
    DONE = "already_escalated"
    NONE = "nobody_to_escalate_to"


def decide(
    *,
    escalate_to: tuple[str, ...],
    told_critical_at: float | None,
    after_s: float,
    acknowledged: bool,
    escalated: bool,
    now: float,
) -> Escalation:
    """Judge one conversation.

    Args:
        told_critical_at: when the first receiver was first told of something critical that still
            fires, in Unix seconds; None when it was not.
    """
    if not escalate_to or told_critical_at is None:
        return Escalation.NONE
    if escalated:
        return Escalation.DONE
    if acknowledged:
        return Escalation.ACKNOWLEDGED
    return Escalation.DUE if now - told_critical_at >= after_s else Escalation.WAITING
