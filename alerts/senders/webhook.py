"""The generic webhook: Alertmanager's version-4 body, signed, with an idempotency key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from alerts.http import HttpClient
from alerts.message import Message, Outcome
from alerts.model import Alert, Status
from alerts.senders.post import post


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where it goes and how it is signed. `secret` empty: not signed."""

    url: str
    secret: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    external_url: str = ""


class WebhookSender:
    """Posts each message as JSON."""

    def __init__(self, target: WebhookTarget, http: HttpClient, clock: Callable[[], float]) -> None:
        self._target = target
        self._http = http
        self._clock = clock

    def send(self, message: Message) -> Outcome:
        target = self._target
        body = json.dumps(render(message, target.external_url), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "rankguard",
            **dict(target.headers),
            "Idempotency-Key": message.key,
            **sign(target.secret, body, int(self._clock())),
        }
        return post(self._http, target.url, body, headers)

    def close(self) -> None:
        """Nothing is kept open between messages."""


def sign(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The two headers that prove who sent the body and when.

    Args:
        timestamp: Unix seconds; part of what is signed, so that an old body cannot be replayed.
    """
    stamp = str(timestamp)
    headers = {"X-Rankguard-Timestamp": stamp}
    if secret:
        digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
        headers["X-Rankguard-Signature"] = f"sha256={digest.hexdigest()}"
    return headers


def render(message: Message, external_url: str = "") -> dict[str, Any]:
    """The body that Alertmanager documents as version 4 of its webhook, with its field names."""
    labels = [labels_of(alert) for alert in message.alerts]
    annotations = [annotations_of(alert) for alert in message.alerts]
    return {
        "version": "4",
        "groupKey": message.group,
        "truncatedAlerts": message.left_out,
        "status": message.status.value,
        "receiver": message.receiver,
        "notification_reason": message.reason,
        "groupLabels": dict(message.group_labels),
        "commonLabels": _common(labels),
        "commonAnnotations": _common(annotations),
        "externalURL": external_url,
        "alerts": [
            {
                "status": alert.status.value,
                "labels": labels[index],
                "annotations": annotations[index],
                "startsAt": rfc3339(alert.started_at),
                "endsAt": rfc3339(alert.ended_at) if alert.status is Status.RESOLVED else NO_END,
                "generatorURL": external_url,
                "fingerprint": alert.fingerprint,
            }
            for index, alert in enumerate(message.alerts)
        ],
    }


NO_END = "0001-01-01T00:00:00Z"
"""Go's zero time, which Alertmanager sends for an alert that still fires."""


def rfc3339(at: float | None) -> str:
    """Unix seconds as UTC text with milliseconds; None as the zero time."""
    if at is None:
        return NO_END
    moment = datetime.fromtimestamp(at, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def labels_of(alert: Alert) -> dict[str, str]:
    """What identifies and routes the alert; the same for firing and resolved, so no numbers."""
    labels = {
        **dict(alert.labels),
        "alertname": alert.name,
        "severity": alert.severity.value,
        "host": alert.host,
        "replica": alert.replica or "",
        "gpu_uuid": alert.gpu_uuid or "",
    }
    return {name: value for name, value in labels.items() if value}


def annotations_of(alert: Alert) -> dict[str, str]:
    """What explains the alert."""
    annotations = {
        "summary": alert.summary,
        "reason": alert.reason,
        "action": alert.action,
        "runbook_url": alert.runbook,
        "incident": str(alert.incident),
        "gpu": "" if alert.gpu_index is None else str(alert.gpu_index),
        **{f"evidence_{name}": value for name, value in alert.evidence.items()},
    }
    return {name: value for name, value in annotations.items() if value}


def _common(each: list[dict[str, str]]) -> dict[str, str]:
    """The pairs that all of them have."""
    first: Mapping[str, str] = each[0] if each else {}
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in each)
    }
