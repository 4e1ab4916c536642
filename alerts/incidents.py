"""PURE: what is known of one cause: its last transition, whether it flaps, whether it still fires.

The watchdog says what happened; here it becomes what people should be told is the case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from alerts import flap
from alerts.flap import Flap, FlapLimits
from alerts.model import Alert, Status, fingerprint, worst
from alerts.names import ALERT_NAMES, FLAPPING

CAUSE_LABEL = "cause"
"""Label of an alert about an alert: the fingerprint of the one it is about."""

KEEP_CHANGES = 32
"""Times kept for each cause: more than any flap limit needs."""


class Seen(str, Enum):
    """What a transition is to what was known before."""

    OPENED = "opened"
    ESCALATED = "escalated"
    UPDATED = "updated"
    RESOLVED = "resolved"
    STRAY = "stray_resolved"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Track:
    """One cause.

    Attributes:
        alert: the latest transition, with the highest severity of its incident.
        changes: Unix seconds of the last status changes, newest last.
        flapping_since: Unix seconds; None when it does not flap.
        untold: incidents that opened and were not looked at by the planner yet.
    """

    alert: Alert
    changes: tuple[float, ...]
    flapping_since: float | None = None
    untold: int = 1

    def to_json(self) -> dict[str, Any]:
        return {
            "alert": self.alert.to_json(),
            "changes": list(self.changes),
            "flapping_since": self.flapping_since,
            "untold": self.untold,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Track:
        return cls(
            alert=Alert.from_json(body["alert"]),
            changes=tuple(body["changes"]),
            flapping_since=body["flapping_since"],
            untold=body["untold"],
        )


@dataclass(frozen=True, slots=True)
class View:
    """What people should be told about a cause now.

    Attributes:
        until: when this may change by time alone, in Unix seconds; None when it cannot.
    """

    status: Status
    reason: str
    until: float | None = None


def advance(  # noqa: PLR0911 a ladder of rules
    track: Track | None, alert: Alert
) -> tuple[Track | None, Seen]:
    """Take one transition in. The track is None when there is nothing to remember."""
    if track is None:
        if alert.status is Status.RESOLVED:
            return None, Seen.STRAY
        return Track(alert, (alert.at,)), Seen.OPENED
    known = track.alert
    if alert.incident < known.incident:
        return track, Seen.STALE
    if alert.status is known.status and alert.incident == known.incident:
        return _same_status(track, alert)
    if _is_burst(track, alert):
        joined = replace(alert, incident=known.incident, started_at=known.started_at)
        return replace(track, alert=joined, changes=(*track.changes[:-1], alert.at)), Seen.UPDATED
    changes = (*track.changes, alert.at)[-KEEP_CHANGES:]
    if alert.status is Status.RESOLVED:
        # all of a burst is the incident that it began with
        incident = known.incident if _keep_firing_s(alert.name) else alert.incident
        severity = worst((alert.severity, known.severity))
        closed = replace(alert, incident=incident, severity=severity)
        return replace(track, alert=closed, changes=changes), Seen.RESOLVED
    return replace(track, alert=alert, changes=changes, untold=track.untold + 1), Seen.OPENED


def _same_status(track: Track, alert: Alert) -> tuple[Track, Seen]:
    known = track.alert
    severity = worst((alert.severity, known.severity))
    started_at = min(alert.started_at, known.started_at)
    merged = replace(alert, severity=severity, started_at=started_at)
    changes = track.changes
    if _keep_firing_s(alert.name):
        # a burst: the quiet time counts from the last one
        changes = (*changes[:-1], alert.at)
    seen = Seen.UPDATED if severity is known.severity else Seen.ESCALATED
    return replace(track, alert=merged, changes=changes), seen


def not_after(track: Track, now: float) -> Track:
    """The same with no change in the future: the clock was set back, and counting starts now."""
    if track.changes[-1] <= now:
        return track
    return replace(track, changes=tuple(min(at, now) for at in track.changes))


def _is_burst(track: Track, alert: Alert) -> bool:
    """Whether this is more of what ended a moment ago."""
    return (
        alert.status is Status.FIRING
        and track.alert.status is Status.RESOLVED
        and alert.at - track.changes[-1] < _keep_firing_s(alert.name)
    )


def _keep_firing_s(name: str) -> float:
    row = ALERT_NAMES.get(name)
    return row.keep_firing_s if row is not None else 0.0


def settle(track: Track, now: float, limits: FlapLimits) -> tuple[Track, Flap]:
    """Begin or end flapping. Alerts that come in bursts are damped by their quiet time instead."""
    if _keep_firing_s(track.alert.name):
        return track, Flap.STEADY
    found = flap.assess(
        track.changes, flapping=track.flapping_since is not None, now=now, limits=limits
    )
    if found is Flap.BEGAN:
        return replace(track, flapping_since=now), found
    if found is Flap.ENDED:
        # the changes that were flapping must not begin it again at once
        return replace(track, flapping_since=None, changes=track.changes[-1:]), found
    return track, found


def view(track: Track, now: float, limits: FlapLimits) -> View:
    """What people should be told: a cause that flaps, or whose burst is not over, still fires."""
    alert = track.alert
    last = min(track.changes[-1], now)
    if track.flapping_since is not None:
        return View(Status.FIRING, "flapping", last + limits.quiet_s)
    if alert.status is Status.FIRING:
        return View(Status.FIRING, alert.reason)
    held_until = last + _keep_firing_s(alert.name)
    if now < held_until:
        return View(Status.FIRING, "burst_not_over", held_until)
    return View(Status.RESOLVED, alert.reason)


def flapping_alert(track: Track, now: float, status: Status) -> Alert:
    """The one alert that stands for all the changes of a flapping cause."""
    known = track.alert
    since = track.flapping_since if track.flapping_since is not None else now
    return replace(
        known,
        id=f"{known.id}/flapping/{status.value}",
        fingerprint=fingerprint(FLAPPING, known.host, known.replica, known.fingerprint),
        name=FLAPPING,
        status=status,
        at=now,
        started_at=since,
        ended_at=now if status is Status.RESOLVED else None,
        reason="flapping",
        summary=f"{known.name} fires and resolves over and over",
        evidence={"changes": str(len(track.changes)), **dict(known.evidence)},
        labels={**dict(known.labels), "flapping": known.name, CAUSE_LABEL: known.fingerprint},
        runbook="",
    )
