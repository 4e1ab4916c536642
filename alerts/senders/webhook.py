"""The generic webhook: Alertmanager's version-4 body, signed, with an idempotency key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from alerts.http import HttpClient
from alerts.labels import annotations_of, common, labels_of
from alerts.message import Message, Outcome, Verdict
from alerts.model import Status
from alerts.senders.chat import encode
from alerts.senders.post import post
from alerts.senders.template import BodyTemplate, TemplateError


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where it goes and how it is signed.

    Attributes:
        secret: empty: not signed.
        template: makes the body instead of Alertmanager's version 4.
        hide: secrets among the headers that no report may show.
    """

    url: str
    secret: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    external_url: str = ""
    runbook_url: str = ""
    template: BodyTemplate | None = None
    hide: tuple[str, ...] = ()


class WebhookSender:
    """Posts each message as JSON."""

    def __init__(self, target: WebhookTarget, http: HttpClient, clock: Callable[[], float]) -> None:
        self._target = target
        self._http = http
        self._clock = clock

    def send(self, message: Message) -> Outcome:
        target = self._target
        fields = render(message, target.external_url, target.runbook_url)
        try:
            body = encode(fields) if target.template is None else target.template.render(fields)
        except TemplateError as error:
            return Outcome(Verdict.REFUSED, str(error)[:300])
        headers = {
            "Content-Type": target.content_type,
            "User-Agent": "rankguard",
            **dict(target.headers),
            "Idempotency-Key": message.key,
            **sign(target.secret, body, int(self._clock())),
        }
        return post(self._http, target.url, body, headers, hide=(target.secret, *target.hide))

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


def render(message: Message, external_url: str = "", runbook_url: str = "") -> dict[str, Any]:
    """The body that Alertmanager documents as version 4 of its webhook, with its field names."""
    labels = [labels_of(alert) for alert in message.alerts]
    annotations = [annotations_of(alert, runbook_url) for alert in message.alerts]
    return {
        "version": "4",
        "groupKey": message.group,
        "truncatedAlerts": message.left_out,
        "status": message.status.value,
        "receiver": message.receiver,
        "notification_reason": message.reason,
        "groupLabels": dict(message.group_labels),
        "commonLabels": common(labels),
        "commonAnnotations": common(annotations),
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
