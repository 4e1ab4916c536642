"""PURE: from a replica and its verdict to actions. Deciding twice on the same facts is harmless."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from monitor.backoff import BackoffLimits, PastRestart, delay_s, refusal, within_window
from monitor.model import Health, Reason, Verdict
from monitor.obey import DEGRADED, no_longer_slow, obey, start_soon, stay
from monitor.replica import (
    Action,
    CloseIncidents,
    Decision,
    Kill,
    NoteAction,
    OpenIncident,
    Phase,
    Replica,
    Start,
    Surroundings,
)

_INCIDENT = {
    Health.DEAD: "ReplicaDead",
    Health.HUNG: "ReplicaHung",
    Health.WRONG: "ReplicaWrong",
    Health.LOST: "ReplicaDead",
}
CRASH_LOOP = "ReplicaCrashLoop"
START_FAILED = "ReplicaStartFailed"
_WELL = {Health.HEALTHY, Health.BUSY, Health.DEGRADED}
_START_REASONS = {Reason.START_FAILED, Reason.START_FAILED_FOR_GOOD, Reason.LOAD_STALLED}


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """How the policy waits.

    Attributes:
        drain_timeout_s: from SIGTERM to SIGKILL.
        rearm_s: a replica whose budget was spent gets another chance after so long.
        abandon_s: a process that SIGKILL does not end within this is left behind: the kernel
            holds it, and the service cannot wait for that.
        observing: somebody else starts and ends replicas. One that was told to end was meant to,
            and none is given up: whatever process comes next under its name is taken.
    """

    backoff: BackoffLimits = field(default_factory=BackoffLimits)
    drain_timeout_s: float = 35.0
    rearm_s: float = 900.0
    abandon_s: float = 30.0
    observing: bool = False


def decide(  # noqa: PLR0911 - one return for each phase
    replica: Replica, verdict: Verdict, around: Surroundings, limits: PolicyLimits, now: float
) -> Decision:
    """What to do for one replica.

    Args:
        verdict: of the present generation; without a process it is not looked at.
        now: `time.monotonic()` seconds.
    """
    if around.command is not None:
        return obey(replica, around.command, limits.drain_timeout_s, now)
    if replica.phase is Phase.STOPPED:
        return _stopped(replica, around, now)
    if replica.phase is Phase.DRAINED:
        if replica.hold_until is not None and now >= replica.hold_until:
            return start_soon(replica, Reason.HOLD_EXPIRED, now)
        return stay(replica)
    if replica.phase is Phase.FAILED:
        if replica.rearm_at is not None and now >= replica.rearm_at:
            return start_soon(replica, Reason.REARMED, now)
        return stay(replica)
    if replica.phase is Phase.STOPPING:
        return _stopping(replica, verdict, limits, now)
    return _running(replica, verdict, around, limits, now)


def _stopped(replica: Replica, around: Surroundings, now: float) -> Decision:
    if around.leftovers:
        return Decision(replica, (), Reason.LEFTOVERS)
    if now < replica.start_at:
        return Decision(replica, (), Reason.BACKOFF)
    if around.start_refused is not None:
        return Decision(replica, (), around.start_refused)
    reason = Reason.FIRST_START if replica.generation == 0 else Reason.RESTART
    started = replace(
        replica,
        phase=Phase.STARTING,
        reason=reason,
        since=now,
        generation=replica.generation + 1,
        identity=None,
        gpu_uuid=around.gpu_uuid,
        serving_since=None,
        kill_at=None,
        routable=False,
        route_reason=Reason.STARTING,
    )
    actions: tuple[Action, ...] = (Start(),)
    if replica.troubled:
        where = f" on {around.gpu_uuid}" if around.gpu_uuid else ""
        actions = (*actions, NoteAction(f"started generation {started.generation}{where}"))
    return Decision(started, actions, reason)


def _stopping(replica: Replica, verdict: Verdict, limits: PolicyLimits, now: float) -> Decision:
    if verdict.health is Health.DEAD:
        ended = replace(
            replica,
            phase=replica.after,
            since=now,
            kill_at=None,
            routable=False,
            serving_since=None,
        )
        return Decision(ended, (), replica.reason)
    if replica.kill_at is not None and now >= replica.kill_at + limits.abandon_s:
        ended = replace(replica, phase=replica.after, since=now, kill_at=None, routable=False)
        return Decision(ended, (Kill(),), replica.reason)
    if replica.kill_at is not None and now >= replica.kill_at:
        return Decision(replica, (Kill(),), replica.reason)
    return stay(replica)


def _running(
    replica: Replica, verdict: Verdict, around: Surroundings, limits: PolicyLimits, now: float
) -> Decision:
    if limits.observing and _was_told_to_end(replica, verdict):
        return _left(replica, now)
    if verdict.health is Health.DEAD:
        return _died(replica, verdict, around, limits, now)
    if verdict.health in {Health.HUNG, Health.WRONG, Health.LOST}:
        return _kill(replica, verdict, around, limits, now)
    if replica.phase is Phase.STARTING and verdict.health in _WELL:
        return _became_routable(replica, verdict, now)
    kept = _routed(replica, verdict)
    stable = replica.serving_since is not None and (
        now - replica.serving_since >= limits.backoff.stable_s
    )
    if stable and replica.failures:
        kept = replace(kept, failures=0)
    kept, told = _told_of_pace(kept, verdict)
    return Decision(kept, told, verdict.reason)


def _was_told_to_end(replica: Replica, verdict: Verdict) -> bool:
    """It ended in order, or is on its way and says nothing more; whoever told it waits for it."""
    silent = verdict.health is Health.HUNG and replica.route_reason is Reason.DRAINING
    return silent or (verdict.health is Health.DEAD and verdict.reason is Reason.DRAINED)


def _left(replica: Replica, now: float) -> Decision:
    gone = replace(
        replica,
        phase=Phase.STOPPED,
        reason=Reason.DRAINED,
        since=now,
        start_at=now,
        failures=0,
        serving_since=None,
        routable=False,
        route_reason=Reason.DRAINED,
        troubled=False,
        degraded=False,
    )
    return Decision(gone, (CloseIncidents(Reason.DRAINED),), Reason.DRAINED)


def _told_of_pace(replica: Replica, verdict: Verdict) -> tuple[Replica, tuple[Action, ...]]:
    """A slow replica is told of and goes on: a restart for it alone would make it slower still."""
    slow = verdict.health is Health.DEGRADED
    if slow and not replica.degraded:
        told = OpenIncident(DEGRADED, verdict.reason, verdict.detail, verdict.since_s, beside=True)
        return replace(replica, degraded=True), (told,)
    if replica.degraded and verdict.health in {Health.HEALTHY, Health.BUSY}:
        return replace(replica, degraded=False), no_longer_slow(replica, verdict.reason)
    return replica, ()


def _routed(replica: Replica, verdict: Verdict) -> Replica:
    """Who is in doubt about values, drains or fails gets no traffic; who is only slow keeps it."""
    if replica.phase is not Phase.SERVING:
        return replace(replica, routable=False, route_reason=verdict.reason)
    doubtful = verdict.reason in {Reason.CANARY_UNCONFIRMED, Reason.ENGINE_DIED}
    routable = not doubtful and verdict.health is not Health.DRAINING
    return replace(replica, routable=routable, route_reason=verdict.reason)


def _became_routable(replica: Replica, verdict: Verdict, now: float) -> Decision:
    serving = replace(
        replica,
        phase=Phase.SERVING,
        reason=verdict.reason,
        since=now,
        serving_since=now,
        served=True,
        routable=True,
        route_reason=verdict.reason,
        troubled=False,
    )
    actions = (CloseIncidents(Reason.HEALTHY),) if replica.troubled else ()
    return Decision(serving, actions, verdict.reason)


def _incident(replica: Replica, verdict: Verdict) -> OpenIncident:
    starting = replica.phase is Phase.STARTING
    name = _INCIDENT[verdict.health]
    if starting and (verdict.reason in _START_REASONS or verdict.health is Health.DEAD):
        name = START_FAILED
    return OpenIncident(name, verdict.reason, verdict.detail, verdict.since_s)


def _kill(
    replica: Replica, verdict: Verdict, around: Surroundings, limits: PolicyLimits, now: float
) -> Decision:
    """End it at once: a hung one cannot drain, and a wrong one must not answer any more."""
    ended, told = _after_end(replica, verdict, around, limits, now)
    stopping = replace(
        ended, phase=Phase.STOPPING, after=ended.phase, kill_at=now, route_reason=verdict.reason
    )
    killed = NoteAction(f"killed generation {replica.generation}")
    # the incident first: evidence is kept under its number, and kept before the kill
    return Decision(stopping, (*told, Kill(evidence=True), killed), verdict.reason)


def _died(
    replica: Replica, verdict: Verdict, around: Surroundings, limits: PolicyLimits, now: float
) -> Decision:
    ended, told = _after_end(replica, verdict, around, limits, now)
    return Decision(ended, (*told, Kill(evidence=True)), verdict.reason)


def _after_end(
    replica: Replica, verdict: Verdict, around: Surroundings, limits: PolicyLimits, now: float
) -> tuple[Replica, tuple[Action, ...]]:
    """The replica after an end that nobody asked for: another start, or given up."""
    failures = replica.failures + 1
    past = within_window(replica.past, limits.backoff, now)
    refused = refusal(
        verdict.reason,
        past,
        served=replica.served,
        failures=failures,
        limits=limits.backoff,
        now=now,
    )
    told: tuple[Action, ...] = () if replica.troubled else (_incident(replica, verdict),)
    told = (*no_longer_slow(replica, verdict.reason), *told)
    ended = replace(
        replica,
        degraded=False,
        reason=verdict.reason,
        since=now,
        failures=failures,
        past=past,
        routable=False,
        route_reason=verdict.reason,
        serving_since=None,
        troubled=True,
    )
    if refused is not None:
        rearm_at = now + limits.rearm_s if refused is Reason.BUDGET_SPENT else None
        page = OpenIncident(CRASH_LOOP, refused, verdict.detail, page=True)
        if limits.observing:
            return replace(ended, phase=Phase.STOPPED, start_at=now), (*told, page)
        failed = replace(ended, phase=Phase.FAILED, reason=refused, rearm_at=rearm_at)
        return failed, (*told, page)
    wait_s = 0.0 if limits.observing else delay_s(failures, limits.backoff, around.chance)
    again = replace(
        ended,
        phase=Phase.STOPPED,
        start_at=now + wait_s,
        past=(*past, PastRestart(now, verdict.reason)),
        restarts=replica.restarts + 1,
    )
    return again, told
