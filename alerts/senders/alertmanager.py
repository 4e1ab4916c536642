"""Prometheus Alertmanager over its v2 API, one or all members of a cluster."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from alerts.http import HttpClient
from alerts.labels import annotations_of, labels_of
from alerts.message import Kind, Message, Outcome, Verdict
from alerts.model import Status
from alerts.senders.chat import NOTHING_TO_TELL, encode
from alerts.senders.post import post
from alerts.senders.webhook import rfc3339

ENDS_AFTER_RESENDS = 4
"""An alert that is not sent again for so many resends ends by itself, as Prometheus does it."""

_BEST_FIRST = (Verdict.DELIVERED, Verdict.RETRY, Verdict.MISCONFIGURED, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class AlertmanagerTarget:
    """`urls` are base URLs. `authorization` is the whole header's value, or empty."""

    urls: Sequence[str]
    resend_s: float
    authorization: str = ""
    external_url: str = ""
    runbook_url: str = ""


class AlertmanagerSender:
    """Posts every alert of a message to each member; members share what they know."""

    def __init__(
        self, target: AlertmanagerTarget, http: HttpClient, clock: Callable[[], float]
    ) -> None:
        self._target = target
        self._http = http
        self._clock = clock

    def send(self, message: Message) -> Outcome:
        """Delivered when one member took it.

        Members tell each other what they notified, and the next resend reaches the others.
        """
        if message.kind in {Kind.ACKNOWLEDGE, Kind.DIGEST}:
            return NOTHING_TO_TELL
        target = self._target
        body = encode(render(message, target, self._clock()))
        headers = {"Content-Type": "application/json", "User-Agent": "rankguard"}
        if target.authorization:
            headers["Authorization"] = target.authorization
        outcomes = [
            post(
                self._http,
                f"{url.rstrip('/')}/api/v2/alerts",
                body,
                headers,
                hide=(target.authorization,),
            )
            for url in target.urls
        ]
        best = min(outcomes, key=lambda outcome: _BEST_FIRST.index(outcome.verdict))
        failed = [each.detail for each in outcomes if each.verdict is not Verdict.DELIVERED]
        if best.verdict is Verdict.DELIVERED and failed:
            return Outcome(best.verdict, f"{best.detail}; not all members: {'; '.join(failed)}")
        return best

    def close(self) -> None:
        """Nothing is kept open between messages."""


def render(message: Message, target: AlertmanagerTarget, now: float) -> list[dict[str, object]]:
    """The body of `POST /api/v2/alerts`. PURE.

    What fires ends a few resends from now, so that alerts of a watchdog that died end as well.
    """
    ends_at = now + ENDS_AFTER_RESENDS * target.resend_s
    return [
        {
            "labels": _named(labels_of(alert)),
            "annotations": _named(annotations_of(alert, target.runbook_url)),
            "startsAt": rfc3339(alert.started_at),
            "endsAt": rfc3339(alert.ended_at if alert.status is Status.RESOLVED else ends_at),
            "generatorURL": target.external_url,
        }
        for alert in message.alerts
    ]


def _named(pairs: Mapping[str, str]) -> dict[str, str]:
    """With names that every version takes: one odd name, and it refuses all alerts of the post.

    Names that become the same are told apart by a number.
    """
    found: dict[str, str] = {}
    for name, value in pairs.items():
        plain = re.sub("[^a-zA-Z0-9_]", "_", name)
        plain = f"_{plain}" if plain[:1].isdigit() else plain
        number = 2
        unique = plain
        while unique in found:
            unique, number = f"{plain}_{number}", number + 1
        found[unique] = value
    return found


def basic(username: str, password: str) -> str:
    """The header's value for basic authentication."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
