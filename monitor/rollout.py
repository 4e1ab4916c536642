"""PURE: a rolling restart: which replica is next, what to wait for, when to go back.

The same rules roll a new version out and roll the old one back in. What it decides on is what is
seen now, so that it goes on after a restart of the watchdog where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from monitor.model import Reason
from monitor.replica import Phase


class Stage(str, Enum):
    """How far a rollout is."""

    ROLLING = "rolling"
    GOING_BACK = "going_back"
    DONE = "done"
    WENT_BACK = "went_back"
    FAILED = "failed"
    STOPPED = "stopped"


ACTIVE = frozenset({Stage.ROLLING, Stage.GOING_BACK})


class Why(str, Enum):
    """Why a rollout is where it is."""

    ASKED = "asked"
    WAITING_FOR_REPLICA = "waiting_for_replica"
    WAITING_FOR_OTHERS = "waiting_for_others"
    SURGING = "surging"
    ALL_NEW = "all_new"
    TOO_LATE = "too_late"
    GIVEN_UP = "given_up"
    DIED_AGAIN = "died_again"
    OTHERS_UNWELL = "others_unwell"
    OPERATOR = "operator"
    NO_SUCH_VERSION = "no_such_version"
    OTHER_VERSION = "other_version"


TRIES = 2
"""Starts of one replica that may fail: one is bad luck, two are the version's fault."""


@dataclass(frozen=True, slots=True)
class Member:
    """One replica as a rollout sees it.

    Attributes:
        waiting: why one that is stopped is not started; None when nothing stands in the way.
        fingerprint: names what it runs; empty when not known.
    """

    id: str
    phase: Phase
    generation: int
    routable: bool
    waiting: Reason | None = None
    fingerprint: str = ""

    @property
    def is_up(self) -> bool:
        """It serves, and the gateway may use it: its canary passed."""
        return self.phase is Phase.SERVING and self.routable


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout; moments are Unix seconds, since it outlives reboots.

    Attributes:
        id: names it in journal and status.
        version: what is installed for it; empty: the same again.
        fingerprint: what a new replica must run, as it was tried before; empty: anything.
        before: replica -> generation that it had when this direction began; a later one is new.
        current: the replica whose turn it is.
        since: when its turn, or the waiting between two turns, began.
        surge: a replica more, for as long as the rollout runs; `may_surge`: there may be one.
        surge_from: the first generation of it that was seen.
        limit_s: from the turn's begin until the replica is up.
    """

    id: str
    version: str = ""
    fingerprint: str = ""
    stage: Stage = Stage.ROLLING
    reason: Why = Why.ASKED
    detail: str = ""
    before: tuple[tuple[str, int], ...] = ()
    current: str | None = None
    since: float = 0.0
    surge: str | None = None
    surge_from: int | None = None
    may_surge: bool = True
    limit_s: float = 900.0
    started_at: float = 0.0
    ended_at: float | None = None

    @property
    def is_active(self) -> bool:
        return self.stage in ACTIVE


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now.

    Attributes:
        restart: the replica to be told to drain and start anew; told again until it does.
        go_back: install the version from before, now.
    """

    rollout: Rollout
    restart: str | None = None
    go_back: bool = False


def begin(rollout: Rollout, members: Sequence[Member], now: float) -> Rollout:
    """The rollout over these replicas; to be called when what they shall run is installed."""
    before = tuple((one.id, one.generation) for one in members)
    return replace(rollout, before=before, started_at=now, since=now)


def advance(
    rollout: Rollout, members: Sequence[Member], now: float, *, surge_id: str | None = None
) -> Step:
    """One step, from what is seen now.

    Args:
        members: all replicas there are, those that came since included.
        now: Unix seconds.
        surge_id: a replica that may be added so that somebody serves while the only one
            restarts; None: there is no room for one.
    """
    if not rollout.is_active:
        return Step(rollout)
    by_id = {one.id: one for one in members}
    rollout = _meet_surge(rollout, by_id)
    failed = _failure(rollout, by_id, now)
    if failed is not None:
        return _fail(rollout, members, failed, now)
    current = None if rollout.current is None else by_id.get(rollout.current)
    if current is not None and not _is_over(rollout, current):
        restart = None if _is_new(rollout, current) or _ends(current) else current.id
        return Step(_keep_cause(rollout, Why.WAITING_FOR_REPLICA), restart)
    if rollout.current is not None:
        rollout = replace(rollout, current=None, since=now)
    if rollout.surge is not None and rollout.stage is Stage.ROLLING:
        surging = _await_surge(rollout, by_id.get(rollout.surge), now)
        if surging is not None:
            return Step(surging)
    return _next(rollout, by_id, now, surge_id)


def turn_back(rollout: Rollout, members: Sequence[Member], why: Why, now: float) -> Step:
    """Give the new version up: who runs it is restarted, who does not is left alone."""
    detail = "" if why is Why.OPERATOR else _words(rollout, why)
    surge = next((one for one in members if one.id == rollout.surge), None)
    back = replace(
        rollout,
        stage=Stage.GOING_BACK,
        reason=why,
        detail=detail,
        before=tuple((one.id, one.generation) for one in members if _has_new(rollout, one)),
        current=None,
        since=now,
        # one that serves bridges the way back too, one that does not is in nobody's interest
        surge=rollout.surge if surge is not None and surge.is_up else None,
        surge_from=None,
        may_surge=False,
    )
    return Step(back, go_back=True)


def end(rollout: Rollout, stage: Stage, why: Why, now: float, detail: str = "") -> Rollout:
    """The rollout, over."""
    return replace(
        rollout,
        stage=stage,
        reason=why,
        detail=detail or rollout.detail,
        current=None,
        surge=None,
        ended_at=now,
    )


def _is_new(rollout: Rollout, member: Member) -> bool:
    before = dict(rollout.before)
    return member.id in before and member.generation > before[member.id]


def _has_new(rollout: Rollout, member: Member) -> bool:
    """Runs the new version; who came since the beginning does too. The surge ends in any case."""
    came_since = member.id not in dict(rollout.before)
    return member.id != rollout.surge and (came_since or _is_new(rollout, member))


def _ends(member: Member) -> bool:
    """On its way down already, or to be started at once: it need not be told again."""
    return member.phase in {Phase.STOPPING, Phase.STOPPED}


def _is_over(rollout: Rollout, member: Member) -> bool:
    """Its turn is: it runs the new version, or an operator keeps it down."""
    if member.phase is Phase.DRAINED:
        return True
    # a watchdog that just adopted it has not read yet what it runs
    is_known = bool(member.fingerprint) or not _wanted(rollout)
    return _is_new(rollout, member) and member.is_up and is_known


def _wanted(rollout: Rollout) -> str:
    """The fingerprint that new replicas must have; empty on the way back: there it is the old."""
    return rollout.fingerprint if rollout.stage is Stage.ROLLING else ""


def _meet_surge(rollout: Rollout, by_id: dict[str, Member]) -> Rollout:
    surge = by_id.get(rollout.surge or "")
    if surge is None or rollout.surge_from is not None:
        return rollout
    return replace(rollout, surge_from=surge.generation)


def _failure(rollout: Rollout, by_id: dict[str, Member], now: float) -> Why | None:
    """Why this rollout must not go on; None when it may."""
    late = now - rollout.since > rollout.limit_s
    if rollout.current is not None:
        member = by_id.get(rollout.current)
        if member is None:
            return None
        if _is_over(rollout, member):
            return Why.OTHER_VERSION if _is_other(rollout, member) else None
        starts = member.generation - dict(rollout.before)[member.id]
        return _failed_start(member, starts) or (Why.TOO_LATE if late else None)
    if rollout.surge is not None and rollout.stage is Stage.ROLLING:
        surge = by_id.get(rollout.surge)
        if surge is None or not surge.is_up:
            starts = 0 if surge is None else 1 + surge.generation - (rollout.surge_from or 0)
            failed = None if surge is None else _failed_start(surge, starts)
            return failed or (Why.TOO_LATE if late else None)
    return Why.OTHERS_UNWELL if late else None


def _is_other(rollout: Rollout, member: Member) -> bool:
    """It came up, and it is not what was tried: another file, or another environment, decided."""
    wanted = _wanted(rollout)
    return bool(wanted) and member.is_up and member.fingerprint != wanted


def _failed_start(member: Member, starts: int) -> Why | None:
    if member.phase is Phase.FAILED and starts > 0:
        return Why.GIVEN_UP
    return Why.DIED_AGAIN if starts > TRIES else None


def _fail(rollout: Rollout, members: Sequence[Member], why: Why, now: float) -> Step:
    if rollout.stage is Stage.ROLLING and rollout.version:
        return turn_back(rollout, members, why, now)
    return Step(end(rollout, Stage.FAILED, why, now, _words(rollout, why)))


def _words(rollout: Rollout, why: Why) -> str:
    who = rollout.current or rollout.surge or "a replica"
    return {
        Why.TOO_LATE: f"{who} did not serve within {rollout.limit_s:.0f} s",
        Why.GIVEN_UP: f"{who} did not start",
        Why.DIED_AGAIN: f"{who} did not come up in {TRIES} starts",
        Why.OTHER_VERSION: f"{who} runs another version than the one that was tried",
        Why.OTHERS_UNWELL: f"the other replicas were not well for {rollout.limit_s:.0f} s",
    }.get(why, why.value.replace("_", " "))


def _await_surge(rollout: Rollout, member: Member | None, now: float) -> Rollout | None:
    """The rollout while the additional replica comes up; None when it is there."""
    if member is not None and member.is_up:
        return None
    if member is not None and member.waiting is Reason.NO_GPU:
        # no card for it: then requests wait while the only replica restarts
        return replace(rollout, surge=None, may_surge=False, reason=Why.ASKED, since=now)
    return replace(rollout, reason=Why.SURGING)


def _next(rollout: Rollout, by_id: dict[str, Member], now: float, surge_id: str | None) -> Step:
    """Whose turn it is: who does not serve first, since that costs nothing."""
    known = [by_id[name] for name, _ in rollout.before if name in by_id]
    open_ = [one for one in known if not _is_over(rollout, one)]
    if not open_:
        stage = Stage.DONE if rollout.stage is Stage.ROLLING else Stage.WENT_BACK
        why = Why.ALL_NEW if rollout.stage is Stage.ROLLING else rollout.reason
        return Step(end(rollout, stage, why, now))
    old = [one for one in open_ if not _is_new(rollout, one)]
    down = [one for one in old if not one.is_up]
    if down:
        return _turn(rollout, min(down, key=lambda one: one.id), now)
    awaited = [one.id for one in by_id.values() if not one.is_up and one.phase is not Phase.DRAINED]
    if awaited or not old:
        return Step(_keep_cause(rollout, Why.WAITING_FOR_OTHERS))
    chosen = min(old, key=lambda one: one.id)
    alone = not any(one.is_up for one in by_id.values() if one is not chosen)
    if alone and rollout.may_surge and surge_id is not None:
        surging = replace(rollout, surge=surge_id, may_surge=False, reason=Why.SURGING, since=now)
        return Step(surging)
    return _turn(rollout, chosen, now)


def _turn(rollout: Rollout, member: Member, now: float) -> Step:
    turn = _keep_cause(rollout, Why.WAITING_FOR_REPLICA)
    restart = None if _ends(member) else member.id
    return Step(replace(turn, current=member.id, since=now), restart)


def _keep_cause(rollout: Rollout, why: Why) -> Rollout:
    """On the way back the reason stays the one for which it goes back."""
    return rollout if rollout.stage is Stage.GOING_BACK else replace(rollout, reason=why)
