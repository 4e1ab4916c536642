"""PURE: what quiet hours or an outage held back, rolled into one message with its own times."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alerts.message import Kind, Message
from alerts.model import Alert, Status, worst

MAX_HELD = 500
"""Alerts kept for one digest; more are counted."""

DIGEST_GROUP = "digest"


@dataclass(frozen=True, slots=True)
class Held:
    """Held back for one receiver: fingerprint -> latest state."""

    receiver: str
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    left_out: int = 0

    def keep(self, alert: Alert) -> Held:
        """Remember one more, or the newer state of one that is held."""
        if self.alerts.get(alert.fingerprint) == alert:
            return self
        if alert.fingerprint not in self.alerts and len(self.alerts) >= MAX_HELD:
            return replace(self, left_out=self.left_out + 1)
        return replace(self, alerts={**self.alerts, alert.fingerprint: alert})

    def refresh(self, shown: Mapping[str, Alert]) -> Held:
        """Take over what became of the held ones since."""
        current = {fp: shown.get(fp, alert) for fp, alert in self.alerts.items()}
        return self if current == self.alerts else replace(self, alerts=current)

    def to_json(self) -> dict[str, Any]:
        return {
            "receiver": self.receiver,
            "alerts": {fp: alert.to_json() for fp, alert in self.alerts.items()},
            "left_out": self.left_out,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Held:
        alerts = {fp: Alert.from_json(alert) for fp, alert in body["alerts"].items()}
        return cls(body["receiver"], alerts, body["left_out"])


def morning_digest(held: Held, now: float) -> Message:
    """One message for what quiet hours held back."""
    alerts = list(held.alerts.values())
    return digest(held.receiver, alerts, now, reason="quiet_hours_over", left_out=held.left_out)


def digest(
    receiver: str, alerts: list[Alert], now: float, *, reason: str, left_out: int = 0
) -> Message:
    """One message about many alerts, oldest first, each with its own times."""
    ordered = sorted(alerts, key=lambda alert: (alert.started_at, alert.fingerprint))
    firing = [alert for alert in ordered if alert.status is Status.FIRING]
    text = "\x1f".join([receiver, reason, repr(now), *(alert.id for alert in ordered)])
    return Message(
        key=hashlib.sha256(text.encode()).hexdigest()[:32],
        receiver=receiver,
        group=f"{DIGEST_GROUP}/{hashlib.sha256(text.encode()).hexdigest()[:12]}",
        status=Status.FIRING if firing else Status.RESOLVED,
        severity=worst(alert.severity for alert in firing or ordered),
        reason=reason,
        alerts=tuple(ordered[:MAX_HELD]),
        created_at=now,
        kind=Kind.DIGEST,
        left_out=left_out + max(0, len(ordered) - MAX_HELD),
    )
