"""PURE: one conversation with one receiver: what it was told, and what its next message says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from alerts.dedup import News, Told
from alerts.grouping import Timing
from alerts.inhibit import Causes
from alerts.message import Kind, Message
from alerts.model import Alert, Severity, Status, worst
from alerts.names import ALERT_NAMES, Scope

MAX_ALERTS = 50
"""Alerts in one message; the rest is counted. A person reads the first few."""

_SCOPE_ORDER = {Scope.HOST: 0, Scope.GPU: 1, Scope.REPLICA: 2, Scope.WATCHDOG: 3}


@dataclass(frozen=True, slots=True)
class Talk:
    """Persisted after every message.

    Attributes:
        told: fingerprint -> what the receiver believes to fire.
        expects: fingerprints of causes that the receiver is to be told of.
        waiting_since: when the first untold news came, in Unix seconds; None when there is none.
        critical_at: when something critical was first told; None when nothing critical fires.
        acknowledged: the receiver knows that somebody has taken it.
        count: messages made so far.
    """

    receiver: str
    group: str
    labels: Mapping[str, str]
    timing: Timing
    opened_at: float
    escalate_to: tuple[str, ...] = ()
    escalate_after_s: float = 900.0
    told: Mapping[str, Told] = field(default_factory=dict)
    expects: frozenset[str] = frozenset()
    waiting_since: float | None = None
    last_told_at: float | None = None
    critical_at: float | None = None
    escalated: bool = False
    acknowledged: bool = False
    count: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "receiver": self.receiver,
            "group": self.group,
            "labels": dict(self.labels),
            "timing": [self.timing.wait_s, self.timing.interval_s, self.timing.repeat_s],
            "opened_at": self.opened_at,
            "escalate_to": list(self.escalate_to),
            "escalate_after_s": self.escalate_after_s,
            "told": {fp: [each.incident, each.severity.value] for fp, each in self.told.items()},
            "expects": sorted(self.expects),
            "waiting_since": self.waiting_since,
            "last_told_at": self.last_told_at,
            "critical_at": self.critical_at,
            "escalated": self.escalated,
            "acknowledged": self.acknowledged,
            "count": self.count,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Talk:
        known = {each.name for each in fields(cls)}  # fields of a later version are left out
        values = {name: value for name, value in body.items() if name in known}
        values["timing"] = Timing(*body["timing"])
        values["escalate_to"] = tuple(body["escalate_to"])
        values["told"] = {
            fp: Told(incident, Severity(severity))
            for fp, (incident, severity) in body["told"].items()
        }
        values["expects"] = frozenset(body["expects"])
        return cls(**values)


def not_after(talk: Talk, now: float) -> Talk:
    """The same with no time in the future: the clock was set back, and waiting starts now."""
    times = (talk.waiting_since, talk.last_told_at, talk.critical_at)
    if all(at is None or at <= now for at in times):
        return talk
    waiting, told, critical = (None if at is None else min(at, now) for at in times)
    return replace(talk, waiting_since=waiting, last_told_at=told, critical_at=critical)


def tell(
    talk: Talk,
    *,
    firing: Mapping[str, Alert],
    resolved: Mapping[str, Alert],
    news: News,
    now: float,
    each: bool = False,
) -> tuple[Talk, list[Message]]:
    """Make the messages that bring the receiver up to date.

    One that fired and ended before it could be told is told twice, as firing and as resolved:
    a receiver that opens and closes incidents would lose it otherwise.

    Args:
        each: no alert is left out, in as many messages as that takes: the receiver is a program
            that knows single alerts.
    """
    messages: list[Message] = []
    short = {fp: alert for fp, alert in resolved.items() if fp not in talk.told}
    if short:
        began = {
            fp: replace(alert, status=Status.FIRING, ended_at=None) for fp, alert in short.items()
        }
        messages += _parts(talk, [*firing.values(), *began.values()], news, now, each=each)
        talk = replace(talk, count=talk.count + len(messages))
        news = News.SOME_RESOLVED if firing else News.ALL_RESOLVED
    last = _parts(talk, [*firing.values(), *resolved.values()], news, now, each=each)
    messages += last
    told = {fp: Told(alert.incident, alert.severity) for fp, alert in firing.items()}
    critical = any(one.severity is Severity.CRITICAL for one in told.values())
    after = replace(
        talk,
        told=told,
        expects=frozenset(),
        waiting_since=None,
        last_told_at=now,
        critical_at=(talk.critical_at if talk.critical_at is not None else now)
        if critical
        else None,
        # news about something that somebody has taken already needs taking again
        acknowledged=talk.acknowledged and news in {News.REPEAT, News.SOME_RESOLVED},
        count=talk.count + len(last),
    )
    return after, messages


def acknowledge(talk: Talk, firing: Mapping[str, Alert], now: float) -> tuple[Talk, Message]:
    """Tell the receiver that somebody has taken it."""
    message = replace(
        _message(talk, list(firing.values()), News.ACKNOWLEDGED, now),
        kind=Kind.ACKNOWLEDGE,
        reason="acknowledged",
    )
    return replace(talk, acknowledged=True, count=talk.count + 1), message


def _parts(talk: Talk, alerts: list[Alert], news: News, now: float, *, each: bool) -> list[Message]:
    if not each:
        return [_message(talk, alerts, news, now)]
    ordered = causes_first(alerts)
    parts = [ordered[at : at + MAX_ALERTS] for at in range(0, len(ordered), MAX_ALERTS)]
    return [
        _message(replace(talk, count=talk.count + number), part, news, now)
        for number, part in enumerate(parts)
    ]


def _message(talk: Talk, alerts: list[Alert], news: News, now: float) -> Message:
    ordered = causes_first(alerts)
    open_ones = [alert for alert in ordered if alert.status is Status.FIRING]
    return Message(
        key=key_of(talk, ordered),
        receiver=talk.receiver,
        group=talk.group,
        status=Status.FIRING if open_ones else Status.RESOLVED,
        severity=worst(alert.severity for alert in open_ones or ordered),
        reason=news.value,
        alerts=tuple(ordered[:MAX_ALERTS]),
        created_at=now,
        group_labels=talk.labels,
        left_out=max(0, len(ordered) - MAX_ALERTS),
    )


def causes_first(alerts: list[Alert]) -> list[Alert]:
    """What fires before what ended, causes before what they explain, the worst first."""
    causes = Causes(alert for alert in alerts if alert.status is Status.FIRING)

    def order(alert: Alert) -> tuple[bool, bool, int, int, float, str]:
        row = ALERT_NAMES.get(alert.name)
        scope = _SCOPE_ORDER[row.scope] if row is not None else len(_SCOPE_ORDER)
        explained = causes.explaining(alert) is not None
        return (
            alert.status is Status.RESOLVED,
            explained,
            alert.severity.rank,
            scope,
            alert.started_at,
            alert.fingerprint,
        )

    return sorted(alerts, key=order)


def key_of(talk: Talk, alerts: list[Alert]) -> str:
    """The idempotency key: names this very message, for ever."""
    place = (talk.receiver, talk.group, repr(talk.opened_at), str(talk.count))
    text = "\x1f".join((*place, *(f"{alert.id}:{alert.status.value}" for alert in alerts)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
