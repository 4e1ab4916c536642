"""Alerts, a clock that is moved by hand, and a planner that is driven without threads or disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timezone
from typing import Any

from alerts.message import Message
from alerts.model import Alert, Severity, Status, fingerprint
from alerts.names import ALERT_NAMES
from alerts.plan import Round, Rules
from alerts.planner import Planner
from alerts.route import Route
from alerts.silence import Silence

START = 1_790_000_000.0
"""2026-09-21 14:13:20 UTC, a Monday."""

GPU = "GPU-8f7d2c1e-0000-4444-8888-0123456789ab"


def alert(
    name: str = "ReplicaHung",
    status: Status = Status.FIRING,
    *,
    incident: int = 1,
    at: float = START,
    host: str = "gpu-1",
    replica: str | None = "replica-0",
    gpu_uuid: str | None = None,
    **more: Any,
) -> Alert:
    row = ALERT_NAMES.get(name)
    fp = fingerprint(name, host, replica, gpu_uuid)
    made = Alert(
        id=f"{fp}-{incident}-{status.value}-{at:.3f}",
        fingerprint=fp,
        incident=incident,
        name=name,
        severity=row.severity if row else Severity.WARNING,
        status=status,
        at=at,
        started_at=at if status is Status.FIRING else at - 10,
        ended_at=at if status is Status.RESOLVED else None,
        host=host,
        reason="no_progress",
        summary=f"{name} on {host}",
        replica=replica,
        gpu_uuid=gpu_uuid,
    )
    return replace(made, **more)


def resolved(of: Alert, at: float) -> Alert:
    return replace(
        of,
        id=f"{of.fingerprint}-{of.incident}-resolved-{at:.3f}",
        status=Status.RESOLVED,
        at=at,
        ended_at=at,
    )


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Desk:
    """A planner and everything that it is asked with."""

    rules: Rules
    clock: Clock = field(default_factory=Clock)
    silences: list[Silence] = field(default_factory=list)
    acknowledged: set[tuple[str, int]] = field(default_factory=set)
    pending: set[tuple[str, str]] = field(default_factory=set)
    decisions: dict[str, str] = field(default_factory=dict)
    state: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.planner = Planner(self.rules)

    def restart(self) -> None:
        self.planner = Planner(self.rules, self.state)

    def tell(self, *alerts: Alert) -> list[Message]:
        plan = self.planner.round(
            Round(
                alerts,
                self.silences,
                frozenset(self.acknowledged),
                frozenset(self.pending),
                self.clock.now,
            )
        )
        self.decisions.update(plan.decisions)
        for key, body in plan.state.items():
            if body is None:
                self.state.pop(key, None)
            else:
                self.state[key] = body
        return list(plan.messages)

    def wait(self, seconds: float, step_s: float = 1.0) -> list[Message]:
        out: list[Message] = []
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.pass_s(min(step_s, until - self.clock.now))
            out += self.tell()
        return out


def desk(*routes: Route, **rules: Any) -> Desk:
    rules.setdefault("zone", timezone.utc)
    return Desk(Rules(routes=routes or (Route(("oncall",)),), **rules))


def brief(messages: Sequence[Message]) -> list[tuple[str, str, str, list[str]]]:
    """(receiver, status, reason, names) of each message."""
    return [
        (m.receiver, m.status.value, m.reason, [each.name for each in m.alerts]) for m in messages
    ]
