"""PURE: is there anything to tell that was not told yet, and what kind of news is it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from alerts.model import Alert, Severity


class News(str, Enum):
    """Why a message is sent, or why not."""

    FIRST = "first_notification"
    NEW_ALERTS = "new_alerts"
    ESCALATED = "severity_escalated"
    SOME_RESOLVED = "some_resolved"
    ALL_RESOLVED = "all_resolved"
    REPEAT = "repeat_interval_elapsed"
    REPEAT_WAITS = "repeat_waits_for_delivery"
    ACKNOWLEDGED = "acknowledged_no_repeat"
    NOTHING = "already_told"

    @property
    def is_change(self) -> bool:
        return self in _CHANGES

    @property
    def is_urgent(self) -> bool:
        """Worse, or over: not held back by the interval between messages."""
        return self in {News.ESCALATED, News.ALL_RESOLVED}


_CHANGES = {
    News.FIRST,
    News.NEW_ALERTS,
    News.ESCALATED,
    News.SOME_RESOLVED,
    News.ALL_RESOLVED,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver was last told of one cause: that it fires, as this incident."""

    incident: int
    severity: Severity


def decide(  # noqa: PLR0911 a ladder of rules
    *,
    told: Mapping[str, Told],
    firing: Mapping[str, Alert],
    resolved: Mapping[str, Alert],
    last_told_at: float | None,
    repeat_s: float,
    acknowledged: bool,
    pending: bool,
    now: float,
) -> News:
    """Compare what a receiver was told with what is the case.

    Args:
        told: fingerprint -> what was told and not taken back.
        firing: fingerprint -> alert that fires and may be told.
        resolved: fingerprint -> alert that ended, told or too short to have been told.
        acknowledged: somebody has taken it: no repeats.
        pending: a message of this conversation is not delivered yet: no repeats either.
    """
    new = [fp for fp, alert in firing.items() if fp not in told or _is_new(told[fp], alert)]
    if not told:
        return News.FIRST if new or resolved else News.NOTHING
    worst_told = min(each.severity.rank for each in told.values())
    worst_now = min((alert.severity.rank for alert in firing.values()), default=99)
    if worst_now < worst_told:
        return News.ESCALATED
    if new:
        return News.NEW_ALERTS
    if resolved:
        return News.SOME_RESOLVED if firing else News.ALL_RESOLVED
    if last_told_at is None or now - last_told_at < repeat_s or not firing:
        return News.NOTHING
    if acknowledged:
        return News.ACKNOWLEDGED
    return News.REPEAT_WAITS if pending else News.REPEAT


def _is_new(told: Told, alert: Alert) -> bool:
    return told.incident != alert.incident or alert.severity.rank < told.severity.rank
