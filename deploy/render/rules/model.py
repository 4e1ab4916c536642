"""What a recording rule and an alert rule are. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """Critical wakes somebody, warning waits for the morning, none is never shown to anybody."""

    CRITICAL = "critical"
    WARNING = "warning"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed once and used by rules and dashboards: `rankguard:<what>`."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alert rule.

    Attributes:
        hold: how long it must be true, as Prometheus writes it: `5m`.
        summary: one sentence, may hold `{{ $labels.host }}` and `{{ $value }}`.
        action: what to do first, a sentence or two.
        same_as: the watchdog's own alert for the same cause, when there is one; it has a runbook,
            and Alertmanager keeps this rule quiet while that one fires.
        about: labels beside `host` that both alerts have: what they are about.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    action: str
    hold: str = "0s"
    same_as: str = ""
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, one after the other.

    Attributes:
        interval: how often; empty for Prometheus' own.
    """

    name: str
    recordings: tuple[Recording, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    interval: str = ""


def duration(seconds: float) -> str:
    """Seconds as Prometheus writes durations: `90s`; never less than one second."""
    return f"{max(1, round(seconds))}s"
