"""What is sent to one receiver at one time, and what became of it. Knows no vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from alerts.model import Alert, Severity, Status


class Kind(str, Enum):
    """What a message is for."""

    NOTIFY = "notify"
    ACKNOWLEDGE = "acknowledge"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one receiver. Frozen when it is recorded: every try sends the same.

    Attributes:
        key: the idempotency key; the same on every try.
        receiver: the name of the receiver in the settings.
        group: names the conversation: firing and resolved of one cause carry the same one.
        status: firing while any of the alerts is.
        severity: the highest of the alerts that fire; of all of them when none does.
        reason: why it is sent, the word of the decision.
        alerts: the cause first, then what follows from it.
        created_at: Unix seconds.
        group_labels: the labels that all alerts of the group share by construction.
        left_out: alerts that did not fit into the message.
        note: about the message itself: `late`, `memory`, `stands_in:<receiver>`, `test`, or a
            sentence.
    """

    key: str
    receiver: str
    group: str
    status: Status
    severity: Severity
    reason: str
    alerts: tuple[Alert, ...]
    created_at: float
    kind: Kind = Kind.NOTIFY
    group_labels: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "receiver": self.receiver,
            "group": self.group,
            "status": self.status.value,
            "severity": self.severity.value,
            "reason": self.reason,
            "alerts": [alert.to_json() for alert in self.alerts],
            "created_at": self.created_at,
            "kind": self.kind.value,
            "group_labels": dict(self.group_labels),
            "left_out": self.left_out,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Message:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is not a message.
        """
        return cls(
            key=body["key"],
            receiver=body["receiver"],
            group=body["group"],
            status=Status(body["status"]),
            severity=Severity(body["severity"]),
            reason=body["reason"],
            alerts=tuple(Alert.from_json(alert) for alert in body["alerts"]),
            created_at=body["created_at"],
            kind=Kind(body["kind"]),
            group_labels=body["group_labels"],
            left_out=body["left_out"],
            note=body["note"],
        )


class Verdict(str, Enum):
    """What one try came to.

    `REFUSED` is about this message: sending the same again changes nothing. `MISCONFIGURED` is
    about the receiver (a revoked token, a moved URL): every message would fare the same until a
    person mends it, so the message waits.
    """

    DELIVERED = "delivered"
    RETRY = "retry"
    MISCONFIGURED = "misconfigured"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one try.

    Attributes:
        detail: one line for people, without any secret.
        retry_after_s: what the receiver asked for; None when it said nothing.
    """

    verdict: Verdict
    detail: str
    retry_after_s: float | None = None
