"""What an alert is. Knows no receiver and no database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any


class Severity(str, Enum):
    """How much it matters: critical wakes somebody, warning waits for the morning."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst: sorts the worst first."""
        return _RANK[self]


_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def worst(severities: Iterable[Severity]) -> Severity:
    """The worst of them; info when there are none."""
    return min(severities, key=lambda severity: severity.rank, default=Severity.INFO)


class Status(str, Enum):
    """Whether the incident is open."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One transition of an incident, as it is told to people.

    Attributes:
        id: names this transition; the same on every try, so that receivers can drop doubles.
        fingerprint: names the incident's cause; firing and resolved carry the same one.
        incident: the journal's incident id; grows with every new incident of the same cause.
        name: the alert's name, and the runbook's file name: `ReplicaHung`.
        at: Unix seconds of this transition. started_at: of the incident. ended_at: of its end.
        reason: the decision's reason word, the same in log, metric and journal.
        summary: one sentence: what broke, where.
        action: what rankguard did about it, and whether it worked. Empty when nothing.
        evidence: what it saw: two or three numbers, name -> value with its unit.
        labels: further labels for routing, such as `team`.
        gpu_index: the card's number on the host, for people; the UUID is its identity.
    """

    id: str
    fingerprint: str
    incident: int
    name: str
    severity: Severity
    status: Status
    at: float
    started_at: float
    host: str
    reason: str
    summary: str
    ended_at: float | None = None
    action: str = ""
    replica: str | None = None
    gpu_uuid: str | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    gpu_index: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Alert:
        """Read what `to_json` wrote; fields of a later version are left out.

        Raises:
            KeyError, TypeError, ValueError: it is not an alert.
        """
        known = {each.name for each in fields(cls)}
        values = {name: value for name, value in body.items() if name in known}
        values["severity"] = Severity(values["severity"])
        values["status"] = Status(values["status"])
        return cls(**values)


def fingerprint(name: str, host: str, replica: str | None, gpu_uuid: str | None) -> str:
    """The name of a cause: the same cause on the same object has the same one, for ever."""
    text = "\x1f".join((name, host, replica or "", gpu_uuid or ""))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
