"""One incident, as the journal keeps it and as it is told to people. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.model import Alert, Severity, Status, fingerprint


@dataclass(frozen=True, slots=True)
class Incident:
    """Times are Unix seconds; durations are seconds.

    Attributes:
        id: grows with every incident of this state directory.
        detected_s: from the last sign of health (or the moment of death) to the decision.
        recovered_s: from the decision to routable again; None while it lasts.
        actions: what was done, in order, in words.
        evidence: two or three numbers, name -> value with its unit.
    """

    id: int
    name: str
    severity: Severity
    started_at: float
    reason: str
    summary: str
    detected_s: float
    replica: str | None = None
    gpu_uuid: str | None = None
    resolved_at: float | None = None
    recovered_s: float | None = None
    actions: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        return Status.FIRING if self.resolved_at is None else Status.RESOLVED


def to_alert(incident: Incident, host: str) -> Alert:
    """The transition that this incident is in: firing while it is open, resolved after.

    Its id is the same however often it is made, so that a crash between journal and outbox
    cannot send it twice under two names. An incident that gets worse is another transition.
    """
    status = incident.status
    cause = fingerprint(incident.name, host, incident.replica, incident.gpu_uuid)
    resolved = incident.resolved_at is not None
    return Alert(
        id=f"{cause}-{incident.id}-{incident.severity.value}-{status.value}",
        fingerprint=cause,
        incident=incident.id,
        name=incident.name,
        severity=incident.severity,
        status=status,
        at=incident.resolved_at if incident.resolved_at is not None else incident.started_at,
        started_at=incident.started_at,
        ended_at=incident.resolved_at,
        host=host,
        reason=incident.reason,
        summary=incident.summary,
        action="; ".join(incident.actions) if resolved or incident.actions else "",
        replica=incident.replica,
        gpu_uuid=incident.gpu_uuid,
        evidence=dict(incident.evidence),
        runbook=f"{incident.name}.md",
    )
