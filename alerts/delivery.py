"""PURE: receivers that fail for long become alerts themselves, told to the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from alerts.gate import Gate
from alerts.model import Alert, Severity, Status, fingerprint
from alerts.names import DELIVERY_FAILING


class Delivery(Protocol):
    """What is asked of a courier."""

    @property
    def name(self) -> str: ...

    @property
    def gate(self) -> Gate: ...

    @property
    def works(self) -> bool:
        """Something was delivered, and nothing has failed since."""
        ...


def delivery_alerts(
    couriers: Sequence[Delivery], firing: Iterable[Alert], *, host: str, now: float, after_s: float
) -> list[Alert]:
    """The transitions that are due.

    Firing for receivers that fail for `after_s` and are not told of, resolved for those that are
    told of and work again or are in the settings no more.
    """
    open_ones = {alert.fingerprint: alert for alert in firing if alert.name == DELIVERY_FAILING}
    transitions: list[Alert] = []
    for courier in couriers:
        fp = fingerprint(DELIVERY_FAILING, host, courier.name, None)
        since = courier.gate.failing_since
        known = open_ones.get(fp)
        if known is None and since is not None and now - since >= after_s:
            transitions.append(_alert(courier.name, fp, host, since, now, status=Status.FIRING))
        elif known is not None and courier.works:
            began = known.started_at
            transitions.append(_alert(courier.name, fp, host, began, now, status=Status.RESOLVED))
    names = {courier.name for courier in couriers}
    for known in open_ones.values():
        receiver = known.labels.get("receiver", "")
        if receiver not in names:
            ended = _alert(
                receiver, known.fingerprint, host, known.started_at, now, status=Status.RESOLVED
            )
            summary = f"{receiver} is not among the receivers any more"
            transitions.append(replace(ended, reason="receiver_removed", summary=summary))
    return transitions


def _alert(receiver: str, fp: str, host: str, since: float, now: float, *, status: Status) -> Alert:
    incident = int(since)
    fires = status is Status.FIRING
    return Alert(
        id=f"delivery/{receiver}/{incident}/{status.value}",
        fingerprint=fp,
        incident=incident,
        name=DELIVERY_FAILING,
        severity=Severity.CRITICAL,
        status=status,
        at=now,
        started_at=since,
        ended_at=None if fires else now,
        host=host,
        reason="receiver_fails" if fires else "receiver_works",
        summary=f"alerts to {receiver} are not delivered"
        if fires
        else f"alerts to {receiver} are delivered again",
        evidence={"failing for": f"{now - since:.0f} s"},
        labels={"receiver": receiver},
    )
