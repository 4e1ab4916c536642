"""Which replica gets a chunk, when a failing one is left alone, when a chunk is hedged. PURE.

Time comes in as monotonic seconds; nothing here knows HTTP or files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum

EJECT_FIRST_S = 0.1
EJECT_LONGEST_S = 5.0
"""A replica that fails is left alone this long; doubled with every further failure."""

ERRORS_BEFORE_EJECTION = 3
"""An error answer may be the chunk's fault; three in a row are the replica's."""

BUSY_S = 0.2
"""A replica that says it is loading or draining is asked again after this."""

STALLED_S = 5.0
"""A replica on which a chunk is late comes last for so long; then it is tried again. Without an end
one late chunk would leave it idle until the others are full.
"""

HEDGE_SAMPLES = 16
HEDGE_FACTOR = 3.0
HEDGE_FLOOR_S = 0.5
HEDGE_UNKNOWN_S = 5.0
"""A chunk is late after three times what nine in ten took, and never before half a second; after
five seconds while too few were seen, as when the first requests find a replica that hangs.
"""


class Failure(str, Enum):
    """How a chunk failed on a replica."""

    UNREACHABLE = "unreachable"  # nothing was sent
    LOST = "lost"  # the connection broke while it worked
    ERROR = "error"  # it answered that it failed, or nonsense
    BUSY = "busy"  # it is loading or draining
    TIMEOUT = "timeout"  # it gave the work up for time


class Why(str, Enum):
    """Why a replica was chosen, or none."""

    LEAST_LOADED = "least_loaded"
    NONE_READY = "none_ready"
    ALL_EJECTED = "all_ejected"
    ALL_FULL = "all_full"


@dataclass(frozen=True, slots=True)
class Health:
    """What the gateway itself saw of a replica: failures since the last success.

    Attributes:
        reachable: the last connection to it did not break.
    """

    failures: int = 0
    errors: int = 0
    ejected_until: float = 0.0
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica as routing sees it.

    Attributes:
        key: names this generation of this replica.
        outstanding: estimated tokens sent and not answered.
        stalled: a chunk on it was late a moment ago and it has answered nothing since.
    """

    key: str
    routable: bool
    outstanding: int
    health: Health = Health()
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The replica to use, or why there is none and when to look again (None: when told)."""

    key: str | None
    why: Why
    look_again_at: float | None = None


def choose(
    candidates: Sequence[Candidate],
    *,
    tokens: int,
    capacity: int,
    now: float,
    avoid: Collection[str] = (),
) -> Choice:
    """The least loaded replica that may take `tokens` more.

    Stalled replicas and those in `avoid` (the chunk failed there) come last. A replica that failed
    gets one chunk at a time until one succeeds. A chunk larger than `capacity` goes to an idle one.
    """
    routable = [one for one in candidates if one.routable]
    if not routable:
        return Choice(None, Why.NONE_READY)
    admitted = [one for one in routable if one.health.ejected_until <= now]
    if not admitted:
        return Choice(None, Why.ALL_EJECTED, min(one.health.ejected_until for one in routable))
    ejected = [one.health.ejected_until for one in routable if one.health.ejected_until > now]
    free = [one for one in admitted if _has_room(one, tokens, capacity)]
    if not free:
        return Choice(None, Why.ALL_FULL, min(ejected, default=None))
    best = min(free, key=lambda one: (one.key in avoid, one.stalled, one.outstanding, one.key))
    return Choice(best.key, Why.LEAST_LOADED)


def _has_room(one: Candidate, tokens: int, capacity: int) -> bool:
    if one.outstanding == 0:
        return True
    on_trial = one.health.failures > 0
    return not on_trial and one.outstanding + tokens <= capacity


def after_failure(health: Health, failure: Failure, now: float) -> Health:
    """The replica's health after a chunk failed on it."""
    if failure is Failure.BUSY:
        return replace(health, ejected_until=max(health.ejected_until, now + BUSY_S))
    if failure is Failure.TIMEOUT:
        return health
    if failure is Failure.ERROR and health.errors + 1 < ERRORS_BEFORE_EJECTION:
        return replace(health, errors=health.errors + 1)
    reachable = failure is Failure.ERROR
    if health.ejected_until > now:
        # chunks that were in flight together fail together: that is one failure, not many
        return replace(health, reachable=reachable)
    pause = min(EJECT_FIRST_S * 2.0 ** min(health.failures, 16), EJECT_LONGEST_S)
    return Health(health.failures + 1, health.errors + 1, now + pause, reachable)


def after_contact(health: Health, now: float) -> Health:
    """The replica's health after it answered a probe: it may be tried at once, no more."""
    if health.reachable:
        return health
    return replace(health, reachable=True, ejected_until=now)


def retry_pause(errors: int) -> float:
    """Seconds before a chunk that `errors` replicas answered with an error is tried again."""
    return min(EJECT_FIRST_S * 2.0 ** max(0, errors - 1), 2.0)


def hedge_after(seconds_per_token: Sequence[float], tokens_ahead: int) -> float:
    """Seconds after which a chunk is late.

    Args:
        seconds_per_token: of recent chunks: their latency over the tokens that were outstanding on
            the replica with them, so that a chunk behind a long queue is not taken for a late one.
        tokens_ahead: outstanding on the replica, this chunk included.
    """
    if len(seconds_per_token) < HEDGE_SAMPLES:
        return HEDGE_UNKNOWN_S
    ordered = sorted(seconds_per_token)
    slow = ordered[int(0.9 * (len(ordered) - 1))]
    return max(HEDGE_FLOOR_S, HEDGE_FACTOR * slow * tokens_ahead)
