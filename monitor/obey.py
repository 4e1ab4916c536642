"""PURE: what an operator, the scaling or a planned recycle asks of one replica."""

from __future__ import annotations

from dataclasses import replace

from monitor.model import Reason
from monitor.replica import (
    Action,
    CloseIncidents,
    Command,
    CommandKind,
    Decision,
    Phase,
    Replica,
    Terminate,
)

DEGRADED = "ReplicaDegraded"


def stay(replica: Replica) -> Decision:
    return Decision(replica, (), replica.reason)


def start_soon(replica: Replica, reason: Reason, now: float) -> Decision:
    started = replace(
        replica,
        phase=Phase.STOPPED,
        reason=reason,
        since=now,
        start_at=now,
        hold_until=None,
        rearm_at=None,
    )
    return Decision(started, (), reason)


def no_longer_slow(replica: Replica, reason: Reason) -> tuple[Action, ...]:
    return (CloseIncidents(reason, DEGRADED),) if replica.degraded else ()


def obey(replica: Replica, command: Command, drain_timeout_s: float, now: float) -> Decision:
    """What a command makes of a replica; `now` is `time.monotonic()` seconds."""
    running = replica.phase in {Phase.STARTING, Phase.SERVING}
    if command.kind is CommandKind.UNDRAIN:
        if replica.phase is Phase.STOPPING and replica.after is Phase.DRAINED:
            return Decision(replace(replica, after=Phase.STOPPED, start_at=now), (), command.reason)
        if replica.phase is Phase.DRAINED:
            return start_soon(replica, command.reason, now)
        return stay(replica)
    drain = command.kind is CommandKind.DRAIN
    after = Phase.DRAINED if drain else Phase.STOPPED
    hold_until = now + command.for_s if drain and command.for_s is not None else None
    told = no_longer_slow(replica, command.reason)
    asked = replace(
        replica,
        degraded=False,
        reason=command.reason,
        since=now,
        after=after,
        start_at=now,
        hold_until=hold_until,
        rearm_at=None,
        failures=0,
        past=(),
        routable=False,
        route_reason=Reason.DRAINING,
    )
    if running:
        stopping = replace(asked, phase=Phase.STOPPING, kill_at=now + drain_timeout_s)
        return Decision(stopping, (*told, Terminate()), command.reason)
    if replica.phase is Phase.STOPPING:
        return Decision(replace(asked, phase=Phase.STOPPING), (), command.reason)
    return Decision(replace(asked, phase=after), (), command.reason)
