"""PURE: a replica to and from what the journal keeps.

Timers run on the monotonic clock, which means nothing after a reboot; the journal keeps Unix
seconds. A clock that was set in between may shorten or lengthen a wait, never make it endless.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.backoff import PastRestart
from monitor.model import Identity, Moment, Reason
from monitor.replica import Phase, Replica


def to_json(replica: Replica, now: Moment) -> dict[str, Any]:
    """All moments as Unix seconds."""

    def wall(mono: float | None) -> float | None:
        return None if mono is None else round(now.wall + mono - now.mono, 3)

    identity = replica.identity
    return {
        "phase": replica.phase.value,
        "reason": replica.reason.value,
        "generation": replica.generation,
        "identity": None
        if identity is None
        else [identity.pid, identity.started_ticks, identity.boot_id],
        "gpu_uuid": replica.gpu_uuid,
        "start_at": wall(replica.start_at),
        "after": replica.after.value,
        "serving_since": wall(replica.serving_since),
        "failures": replica.failures,
        "served": replica.served,
        "restarts": replica.restarts,
        "past": [[wall(one.at), one.cause.value] for one in replica.past],
        "hold_until": wall(replica.hold_until),
        "rearm_at": wall(replica.rearm_at),
        "routable": replica.routable,
        "degraded": replica.degraded,
    }


_DRIFTING = {"start_at", "serving_since", "past", "hold_until", "rearm_at"}


def lasting(state: dict[str, Any]) -> dict[str, Any]:
    """Without what drifts with every conversion between the clocks: what is worth a write."""
    return {key: value for key, value in state.items() if key not in _DRIFTING}


def from_json(replica_id: str, body: dict[str, Any], now: Moment) -> Replica:
    """The replica as the journal has it; raises KeyError or ValueError for what is none."""

    def past(wall: float | None) -> float | None:
        return None if wall is None else now.mono - max(0.0, now.wall - wall)

    def future(wall: float | None) -> float | None:
        return None if wall is None else now.mono + max(0.0, wall - now.wall)

    identity = body["identity"]
    return Replica(
        id=replica_id,
        phase=Phase(body["phase"]),
        reason=Reason(body["reason"]),
        since=now.mono,
        generation=int(body["generation"]),
        identity=None if identity is None else Identity(*identity),
        gpu_uuid=body["gpu_uuid"],
        start_at=future(body["start_at"]) or 0.0,
        kill_at=now.mono if body["phase"] == Phase.STOPPING.value else None,
        after=Phase(body["after"]),
        serving_since=past(body["serving_since"]),
        failures=int(body["failures"]),
        served=bool(body["served"]),
        restarts=int(body["restarts"]),
        past=tuple(
            PastRestart(now.mono - max(0.0, now.wall - at), Reason(cause))
            for at, cause in body["past"]
        ),
        hold_until=future(body["hold_until"]),
        rearm_at=future(body["rearm_at"]),
        routable=bool(body["routable"]),
        degraded=bool(body.get("degraded", False)),
        route_reason=Reason(body["reason"]),
    )


def fresh_start(replica: Replica, now: Moment) -> Replica:
    """After a reboot or an orderly stop: nothing runs; history and budgets are kept."""
    phase = replica.phase if replica.phase is Phase.DRAINED else Phase.STOPPED
    return replace(
        replica,
        phase=phase,
        reason=Reason.FIRST_START,
        since=now.mono,
        identity=None,
        start_at=now.mono,
        kill_at=None,
        after=Phase.STOPPED,
        serving_since=None,
        routable=False,
        route_reason=Reason.STARTING,
        rearm_at=None,
    )
