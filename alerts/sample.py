"""PURE: messages that look like real ones and say that they are a test."""

from __future__ import annotations

from dataclasses import replace

from alerts.grouping import Timing
from alerts.message import Kind, Message
from alerts.model import Alert, Severity, Status, fingerprint
from alerts.talk import Talk, key_of

_NAMES = {
    Severity.CRITICAL: "ReplicaHung",
    Severity.WARNING: "GpuThermal",
    Severity.INFO: "Watchdog",
}


def samples(receiver: str, host: str, now: float, *, close: bool) -> list[Message]:
    """One firing message of each severity, the worst first.

    Args:
        close: each is followed by its end, for receivers that keep incidents open.
    """
    messages: list[Message] = []
    for severity, name in _NAMES.items():
        firing = _alert(name, severity, host, now)
        messages.append(_message(receiver, firing, now))
        if close:
            ended = replace(
                firing, id=f"{firing.id}/end", status=Status.RESOLVED, ended_at=now + 1, at=now + 1
            )
            messages.append(_message(receiver, ended, now + 1))
    return messages


def _alert(name: str, severity: Severity, host: str, now: float) -> Alert:
    fp = fingerprint(f"test/{name}", host, "replica-0", None)
    return Alert(
        id=f"test/{fp}/{now:.3f}",
        fingerprint=fp,
        incident=0,
        name=name,
        severity=severity,
        status=Status.FIRING,
        at=now,
        started_at=now,
        host=host,
        reason="test",
        summary="this is a test of alert delivery; nothing is wrong",
        action="nothing, since nothing is wrong",
        replica="replica-0",
        gpu_uuid="GPU-00000000-0000-0000-0000-000000000000",
        gpu_index=0,
        evidence={"oldest request": "31 s", "forward passes": "0 in 15 s"},
        labels={"test": "true"},
    )


def _message(receiver: str, alert: Alert, now: float) -> Message:
    group = f"test/{alert.host}/{alert.severity.value}/{alert.started_at:.0f}"
    talk = Talk(receiver, group, {}, timing=Timing(), opened_at=now)
    return Message(
        key=key_of(talk, [alert]),
        receiver=receiver,
        group=group,
        status=alert.status,
        severity=alert.severity,
        reason="test",
        alerts=(alert,),
        created_at=now,
        kind=Kind.TEST,
        note="test",
    )
