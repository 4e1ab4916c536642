"""PURE: which alerts make one conversation with a receiver, and when its next message is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.incidents import CAUSE_LABEL
from alerts.labels import labels_of
from alerts.model import Alert
from alerts.names import ALERT_NAMES, Scope

CAUSE = "incident"
"""The pseudo-label in `group_by` that stands for the object that broke."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds.

    Attributes:
        wait_s: after the first news, so that what follows from one cause comes in one message.
        interval_s: between two messages of a conversation that goes on.
        repeat_s: an unchanged conversation that nobody acknowledged is told again.
    """

    wait_s: float = 2.0
    interval_s: float = 10.0
    repeat_s: float = 4 * 3600.0


def cause_of(alert: Alert) -> str:
    """The object that broke: alerts about one card, and the replicas on it, are one incident."""
    row = ALERT_NAMES.get(alert.name)
    if row is not None and row.scope is Scope.HOST:
        return f"{alert.host}/host"
    if alert.gpu_uuid:
        return f"{alert.host}/{alert.gpu_uuid}"
    if alert.replica:
        return f"{alert.host}/{alert.replica}"
    return f"{alert.host}/{alert.labels.get(CAUSE_LABEL, alert.fingerprint)}"


def group_of(alert: Alert, group_by: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The conversation's key and the labels that all of its alerts share.

    The key has no severity in it unless asked for: an alert that gets worse stays where it is.
    """
    labels = labels_of(alert)
    shared = {name: cause_of(alert) if name == CAUSE else labels.get(name, "") for name in group_by}
    key = ",".join(f"{name}={value}" for name, value in sorted(shared.items())) or "all"
    return key, shared


def due_at(
    *, waiting_since: float, last_told_at: float | None, urgent: bool, timing: Timing
) -> float:
    """When the next message of a conversation may be made, in Unix seconds.

    Args:
        waiting_since: when the first news that nobody was told came.
        last_told_at: when the last message was made; None when there was none.
        urgent: it got worse or it is over, which waits only `wait_s`.
    """
    earliest = waiting_since + timing.wait_s
    if last_told_at is None:
        return earliest
    spacing_s = timing.wait_s if urgent else timing.interval_s
    return max(earliest, last_told_at + spacing_s)
