"""PURE: how long to wait before a restart, and whether one more is allowed at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.model import Reason


@dataclass(frozen=True, slots=True)
class BackoffLimits:
    """How patient restarts are.

    Attributes:
        base_s, factor, max_s: delay of the n-th failure in a row after the first.
        jitter: the delay varies by this share, so that replicas do not start in step.
        budget: restarts for one cause within window_s; one more is refused.
        stable_s: a replica that served so long starts anew: its failures are forgotten.
        start_tries: starts of a replica that never served before it is given up.
    """

    base_s: float = 1.0
    factor: float = 2.0
    max_s: float = 60.0
    jitter: float = 0.2
    budget: int = 5
    window_s: float = 600.0
    stable_s: float = 10.0
    start_tries: int = 3


@dataclass(frozen=True, slots=True)
class PastRestart:
    """One restart: when (`time.monotonic()` seconds) and for what."""

    at: float
    cause: Reason


def delay_s(failures: int, limits: BackoffLimits, chance: float) -> float:
    """Seconds to wait before the next start.

    Args:
        failures: in a row without a stable run; the first is answered at once.
        chance: 0 to 1, from a random generator.
    """
    if failures <= 1:
        return 0.0
    plain = limits.base_s * limits.factor ** min(failures - 2, 30)
    bounded = min(plain, limits.max_s)
    return bounded * (1.0 + limits.jitter * (2.0 * chance - 1.0))


def refusal(
    cause: Reason,
    past: Sequence[PastRestart],
    *,
    served: bool,
    failures: int,
    limits: BackoffLimits,
    now: float,
) -> Reason | None:
    """Why there must not be another restart; None when there may be one."""
    if cause is Reason.START_FAILED_FOR_GOOD:
        return cause
    if not served and failures >= limits.start_tries:
        return Reason.NEVER_SERVED
    recent = sum(1 for one in past if one.cause is cause and now - one.at < limits.window_s)
    if recent >= limits.budget:
        return Reason.BUDGET_SPENT
    return None


def within_window(
    past: Sequence[PastRestart], limits: BackoffLimits, now: float
) -> tuple[PastRestart, ...]:
    """The restarts that still count; keeps the history bounded."""
    kept = [one for one in past if now - one.at < limits.window_s]
    return tuple(kept[-50:])
