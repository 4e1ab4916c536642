"""PagerDuty Events API v2: trigger, acknowledge and resolve with one key per conversation. PURE."""

from __future__ import annotations

import hashlib
import re

from alerts import cut
from alerts.http import Answer
from alerts.labels import labels_of
from alerts.message import Kind, Message, Outcome, Verdict
from alerts.model import Severity, Status
from alerts.retry import judge
from alerts.senders.body import parse
from alerts.senders.post import describe
from alerts.senders.webhook import rfc3339
from alerts.words import Story

SUMMARY_CHARS = 1024
KEY_CHARS = 255
DETAIL_CHARS = 4000

_WRONG_KEY = re.compile(r"routing[ _]key|invalid key", re.IGNORECASE)

_SEVERITY = {Severity.CRITICAL: "critical", Severity.WARNING: "warning", Severity.INFO: "info"}


class PagerDuty:
    """PagerDuty's format."""

    def __init__(self, routing_key: str) -> None:
        self._routing_key = routing_key

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del now
        if message.kind is Kind.DIGEST:
            return None  # an incident is opened and closed by its own messages
        lead = message.alerts[0]
        event: dict[str, object] = {
            "routing_key": self._routing_key,
            "event_action": _action(message),
            "dedup_key": dedup_key(message),
        }
        if event["event_action"] == "resolve":
            return event
        details = {line.label: cut.to_chars(line.text, DETAIL_CHARS) for line in story.lines}
        event |= {
            "payload": {
                "summary": cut.to_chars(cut.clean(story.headline), SUMMARY_CHARS),
                "source": lead.host,
                "severity": _SEVERITY[message.severity],
                "timestamp": rfc3339(lead.started_at),
                "component": lead.replica or lead.gpu_uuid or lead.host,
                "group": message.group,
                "class": lead.name,
                "custom_details": {**details, "labels": labels_of(lead)},
            },
            "links": [{"href": link.url, "text": link.label} for link in story.links],
            "client": "rankguard",
        }
        return event

    def address(self, url: str, now: float) -> str:
        del now
        return url

    def read(self, answer: Answer) -> Outcome | None:
        """202 with `status: success` is queued, which is all that this API ever says.

        A wrong integration key is a 400 like a wrong event, and waits for a person all the same.
        """
        body = parse(answer)
        if answer.status == 400 and _WRONG_KEY.search(answer.body.decode("utf-8", "replace")):
            return Outcome(Verdict.MISCONFIGURED, describe(answer))
        if judge(answer.status) is Verdict.DELIVERED and (
            body is None or body.get("status") != "success"
        ):
            return Outcome(Verdict.RETRY, f"not PagerDuty's answer: {describe(answer)}")
        return None


def _action(message: Message) -> str:
    if message.kind is Kind.ACKNOWLEDGE:
        return "acknowledge"
    return "resolve" if message.status is Status.RESOLVED else "trigger"


def dedup_key(message: Message) -> str:
    """One per conversation and host: several watchdogs may share a PagerDuty service."""
    key = f"rankguard/{message.alerts[0].host}/{message.group}"
    if len(key) <= KEY_CHARS:
        return key
    return f"rankguard/{hashlib.sha256(key.encode()).hexdigest()}"
