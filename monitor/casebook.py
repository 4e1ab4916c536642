"""Opens, notes and closes incidents; journals first, then tells the sink, exactly in that order.

A crash at any point in between is made good at the next start: what the journal holds and the
sink has not confirmed is told again, under the same id.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from alerts.model import Alert, Severity, Status
from monitor.incident import Incident, to_alert
from monitor.journal import Journal, JournalError
from monitor.model import Moment
from monitor.ports import Sink

_MAX_ACTIONS = 40
_MAX_PENDING = 1000
_BESIDE = {"ReplicaLeaking", "ReplicaDegraded"}  # told of while the replica goes on serving

log = logging.getLogger("rankguard.watchdog")


class Casebook:
    """The open incidents; used by the loop's thread alone."""

    def __init__(self, journal: Journal, sink: Sink, host: str) -> None:
        self._journal = journal
        self._sink = sink
        self._host = host
        self._next_id = journal.next_incident_id()
        self._open = {incident.id: incident for incident in journal.open_incidents()}
        self._pending: list[Alert] = []
        self.opened: Counter[str] = Counter()
        self.journal_errors = 0
        self.sink_errors = 0
        for incident in journal.untold():
            if incident.status is Status.RESOLVED and not journal.was_told_firing(incident.id):
                firing = replace(incident, resolved_at=None, recovered_s=None)
                self._pending.append(to_alert(firing, host))
            self._pending.append(to_alert(incident, host))

    def open_incidents(self) -> tuple[Incident, ...]:
        return tuple(self._open.values())

    def troubled(self, replica: str) -> bool:
        """An incident is open that ends when the replica serves again."""
        return any(one.name not in _BESIDE for one in self._of(replica, None))

    def number_of(self, replica: str) -> int | None:
        """The replica's oldest open incident."""
        return min((one.id for one in self._of(replica, None)), default=None)

    def open(
        self,
        name: str,
        now: Moment,
        *,
        severity: Severity,
        reason: str,
        summary: str,
        detected_s: float = 0.0,
        replica: str | None = None,
        gpu_uuid: str | None = None,
        evidence: Mapping[str, str] | None = None,
    ) -> Incident:
        """The incident of this name on this object: a new one, or the one that is open."""
        for known in self._open.values():
            if (known.name, known.replica) == (name, replica) and (
                replica is not None or known.gpu_uuid == gpu_uuid
            ):
                return known
        incident = Incident(
            id=self._next_id,
            name=name,
            severity=severity,
            started_at=now.wall,
            reason=reason,
            summary=summary,
            detected_s=round(detected_s, 3),
            replica=replica,
            gpu_uuid=gpu_uuid,
            evidence=dict(evidence or {}),
        )
        self._next_id += 1
        self.opened[name] += 1
        self._open[incident.id] = incident
        self._save(incident)
        self._tell(incident)
        log.warning("incident %d %s: %s (%s)", incident.id, name, summary, reason)
        return incident

    def note(self, text: str, *, replica: str | None = None, gpu_uuid: str | None = None) -> None:
        """Add what was done to every open incident of this object."""
        for incident in self._of(replica, gpu_uuid):
            actions = (*incident.actions, text)[-_MAX_ACTIONS:]
            noted = replace(incident, actions=actions)
            self._open[incident.id] = noted
            self._save(noted)
            # a firing that nobody heard of yet tells of this action too
            self._pending = [
                to_alert(noted, self._host) if alert.incident == incident.id else alert
                for alert in self._pending
            ]

    def close(
        self,
        now: Moment,
        *,
        replica: str | None = None,
        gpu_uuid: str | None = None,
        name: str | None = None,
    ) -> None:
        for incident in self._of(replica, gpu_uuid):
            if name is not None and incident.name != name:
                continue
            resolved_at = max(now.wall, incident.started_at)
            resolved = replace(
                incident,
                resolved_at=resolved_at,
                recovered_s=round(resolved_at - incident.started_at, 3),
            )
            del self._open[incident.id]
            self._save(resolved)
            self._tell(resolved)
            log.info(
                "incident %d %s: over after %.1f s",
                resolved.id,
                resolved.name,
                resolved.recovered_s or 0.0,
            )

    def flush(self) -> None:
        """Hand to the sink what it has not taken yet; try again at the next tick if it cannot."""
        if not self._pending:
            return
        try:
            self._sink.accept(self._pending)
        except Exception:  # the outbox may fail in many ways; recovery must go on
            self.sink_errors += 1
            log.exception("alerts could not be stored; trying again")
            return
        told, self._pending = self._pending, []
        for alert in told:
            try:
                self._journal.mark_told(alert.incident, alert.status.value)
            except JournalError:
                self.journal_errors += 1

    def _of(self, replica: str | None, gpu_uuid: str | None) -> list[Incident]:
        if replica is not None:
            return [one for one in self._open.values() if one.replica == replica]
        return [
            one for one in self._open.values() if one.replica is None and one.gpu_uuid == gpu_uuid
        ]

    def _save(self, incident: Incident) -> None:
        try:
            self._journal.save_incident(incident)
        except JournalError as error:
            self.journal_errors += 1
            log.error("%s", error)  # noqa: TRY400 - the trace says nothing more

    def _tell(self, incident: Incident) -> None:
        if len(self._pending) < _MAX_PENDING:
            self._pending.append(to_alert(incident, self._host))
